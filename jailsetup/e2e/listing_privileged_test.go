//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/leftover"
)

// quiet lists the host once no jail of the run is ending any more: a first
// process stays in the process table for an instant.
func quiet(t *testing.T) leftover.Listing {
	t.Helper()
	last, err := list()
	if err == nil {
		err = until(waitTimeout, func() error {
			time.Sleep(50 * time.Millisecond)
			now, err := list()
			if err == nil {
				err = errors.Join(last.Diff(now), now.Diff(last))
			}
			last = now
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// list looks at the host: of what is shared with others on the machine only the
// run's own counts.
func list() (leftover.Listing, error) {
	return leftover.Scope{
		// Of the tests' mount namespace, but for what others on the machine had in
		// their own directories when it was copied: that goes when its mount point is
		// removed there.
		Mount: func(point string) bool {
			others := strings.HasPrefix(point, "/tmp/") || strings.HasPrefix(point, "/run/")
			return !others || strings.HasPrefix(point, runDir()+"/")
		},
		Backing: func(path string) bool { return strings.HasPrefix(path, runDir()+"/") },
		Socket: func(path string) bool {
			if strings.Contains(path, "/run/proxy.sock") {
				return false // the proxy's own: it comes some time after the supervisor, and goes with it
			}
			return strings.HasPrefix(path, runDir()) || strings.HasPrefix(path, "@")
		},
		More: map[string]leftover.Lister{"cgroups": cgroups, "processes": processes},
	}.List()
}

// cgroups are those of the run's vnodes.
func cgroups() ([]string, error) {
	all, err := filepath.Glob("/sys/fs/cgroup/*/emulab/" + runKey() + "*")
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob("/sys/fs/cgroup/emulab/" + runKey() + "*")
	return append(all, more...), err
}

// processes are those in the tests' mount or network namespace, which are the
// supervisor's, the proxy's, jailspawn's and tmcd-mock's, and those in a cgroup
// of the run's vnodes; by name, since a supervisor that is back is no other.
func processes() ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	count := map[string]int{}
	for _, dir := range dirs {
		groups, err := os.ReadFile(dir + "/cgroup")
		if err != nil || !sharesNamespace(dir) && !strings.Contains(string(groups), "/emulab/"+runKey()) {
			continue
		}
		name, err := os.ReadFile(dir + "/comm")
		if err == nil {
			count[strings.TrimSpace(string(name))]++
		}
	}
	var all []string
	for name, n := range count {
		all = append(all, fmt.Sprintf("%s, %d of them", name, n))
	}
	return all, err
}

// sharesNamespace tells whether the process has a namespace of the tests'. One
// that has ended has none.
func sharesNamespace(dir string) bool {
	for _, kind := range [...]string{"mnt", "net"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if ns, nsErr := os.Readlink(dir + "/ns/" + kind); err == nil && nsErr == nil && ns == own {
			return true
		}
	}
	return false
}
