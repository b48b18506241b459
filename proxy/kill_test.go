package proxy

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"emujail/proxy/control"
)

// The proxy is killed 100 times under load. Each request gets its whole
// answer or an error; none waits for ever, none is answered for another.
func TestProxyKilledUnderLoad(t *testing.T) {
	const jails, kills = 8, 100
	tmcd, dir := startTmcd(t, nil), t.TempDir()
	m := control.Message{Op: control.OpListen}
	var paths []string
	var files []*os.File
	for _, name := range []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"} {
		path, f := socket(t, dir, name)
		paths, files = append(paths, path), append(files, f)
		m.VNodes = append(m.VNodes, control.VNode{VNode: name})
	}
	var good, failed atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() { keepAsking(t, path, m.VNodes[i].VNode, stop, &good, &failed) })
	}
	for range kills {
		s := supervise(t, "free", nil)
		s.useTmcd(tmcd)
		s.order(m, files...)
		before := good.Load()
		eventually(t, "answers", func() bool { return good.Load() > before+100 })
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s := supervise(t, "free", nil) // for those in the backlog
	s.useTmcd(tmcd)
	s.order(m, files...)
	close(stop)
	all.Wait()
	t.Logf("%d good, %d cut off by %d kills", good.Load(), failed.Load(), kills)
	if failed.Load() > int64(kills*jails) {
		t.Errorf("%d requests failed: more than were under way", failed.Load())
	}
}
