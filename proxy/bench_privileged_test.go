//go:build linux && privileged

package proxy

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/proxy/control"
)

// clients ask at once, each in a jail of its own.
const clients = 32

// BenchmarkRequests compares a request through a confined proxy in a process of
// its own, callers attested, with one sent straight to the same tmcd. Lines:
// requests a second, median and 99th percentile in microseconds.
func BenchmarkRequests(b *testing.B) {
	tmcd := startTmcd(b, nil)
	b.Run("direct", func(b *testing.B) {
		measure(b, func(int) net.Conn {
			c, err := net.Dial("tcp", tmcd.addr.String())
			if err != nil {
				b.Error(err)
			}
			return c
		})
	})
	b.Run("proxy", func(b *testing.B) {
		s, dir := supervise(b, "confined", nil), b.TempDir()
		s.useTmcd(tmcd)
		m := control.Message{Op: control.OpListen}
		var files []*os.File
		var paths []string
		for i := range clients {
			name := fmt.Sprintf("pcvm1-%d", i)
			path, f := socket(b, dir, name)
			m.VNodes = append(m.VNodes, control.VNode{VNode: name, Cgroup: ownCgroup(b)})
			files, paths = append(files, f), append(paths, path)
		}
		s.order(m, files...)
		audit, err := os.CreateTemp(dir, "audit")
		if err != nil {
			b.Fatal(err)
		}
		defer audit.Close()
		s.order(control.Message{Op: control.OpAudit}, audit)
		measure(b, func(i int) net.Conn {
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: paths[i], Net: "unix"})
			if err != nil {
				b.Error(err)
			}
			return c
		})
	})
}

func measure(b *testing.B, dial func(int) net.Conn) {
	for _, n := range []int{1, clients} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			var mu sync.Mutex
			var all sync.WaitGroup
			took := make([]time.Duration, 0, b.N)
			work := make(chan struct{}, b.N)
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			b.ResetTimer()
			for i := range n {
				all.Go(func() {
					for range work {
						start := time.Now()
						c := dial(i)
						io.WriteString(c, "VERSION=40 status ")
						c.(interface{ CloseWrite() error }).CloseWrite()
						reply, err := io.ReadAll(c)
						c.Close()
						if err != nil || len(reply) == 0 {
							b.Errorf("%q, %v", reply, err)
							return
						}
						mu.Lock()
						took = append(took, time.Since(start))
						mu.Unlock()
					}
				})
			}
			all.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkIdleJails puts 10,000 idle jails into one proxy and reports what each
// adds to its memory (PSS), once garbage is collected.
func BenchmarkIdleJails(b *testing.B) {
	const jails, wait = 10000, 5 * time.Second
	s, dir := supervise(b, "confined", nil), b.TempDir()
	s.useTmcd(startTmcd(b, nil))
	before := pss(b, s.cmd.Process.Pid)
	for first := 0; first < jails; first += 200 {
		m := control.Message{Op: control.OpListen}
		var files []*os.File
		for i := range 200 {
			name := fmt.Sprintf("pcvm1-%d", first+i)
			_, f := socket(b, dir, name)
			m.VNodes = append(m.VNodes, control.VNode{VNode: name, Cgroup: uint64(first + i + 1)})
			files = append(files, f)
		}
		s.order(m, files...)
		for _, f := range files {
			f.Close()
		}
	}
	time.Sleep(wait)
	after := pss(b, s.cmd.Process.Pid)
	b.ReportMetric(float64(after-before)/jails, "KiB/jail")
	b.ReportMetric(float64(after), "KiB")
}

// pss is the proportional share of memory of a process, in KiB.
func pss(b *testing.B, pid int) (kib int) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib
		}
	}
	b.Fatal("no Pss in smaps_rollup")
	return 0
}
