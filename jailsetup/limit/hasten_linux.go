package limit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stayInterval is how often a move that changes nothing keeps the kernel ready
// for the one that does. Left alone it goes back within a tick or two.
const stayInterval = 2 * time.Millisecond

// longestHaste bounds it, whatever a boot waits for.
const longestHaste = time.Second

// Hasten has the kernel get ready to move a process between v1 cgroups, beside
// what else a boot does: the first move after a pause waits for a grace period,
// 10 to 24 ms, those that follow 0.1 ms (spec/linux.md §7). It moves this process to
// where it is, which changes nothing, until stop is called, which waits for it to
// end. Where no move is needed, or none is allowed, it does nothing.
func (h Hierarchies) Hasten(ctx context.Context) (stop func()) {
	if len(h.V1) == 0 {
		return func() {} // jails are born into their cgroup
	}
	ctx, cancel := context.WithTimeout(ctx, longestHaste)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for h.stay() == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(stayInterval):
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// stay moves this process to the v2 cgroup that it is in.
func (h Hierarchies) stay() error {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	_, own, _ := strings.Cut("\n"+string(data), "\n0::")
	own, _, _ = strings.Cut(own, "\n")
	f, err := os.OpenFile(filepath.Join(h.V2, own, "cgroup.procs"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("0")
	return err
}
