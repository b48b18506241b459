//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// listing is what a jail could leave behind, a sorted list a kind. Of what is
// shared with others on the machine only the run's own counts.
type listing map[string][]string

// quiet lists the host once no jail of the run is ending any more: a first
// process stays in the process table for an instant.
func quiet(t *testing.T) listing {
	t.Helper()
	last, err := list()
	if err == nil {
		err = until(waitTimeout, func() error {
			time.Sleep(50 * time.Millisecond)
			now, err := list()
			if err == nil {
				err = errors.Join(last.diff(now), now.diff(last))
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

func list() (listing, error) {
	l := listing{}
	for kind, f := range map[string]func() ([]string, error){
		"mounts": mounts, "interfaces": interfaces, "routes": routes, "rules": rules,
		"cgroups": cgroups, "loop devices": loops, "processes": processes, "sockets": sockets,
	} {
		lines, err := f()
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		slices.Sort(lines)
		l[kind] = lines
	}
	return l, nil
}

// diff says what is now and wasn't, or was and isn't.
func (l listing) diff(now listing) error {
	var errs []error
	for _, kind := range slices.Sorted(maps.Keys(l)) {
		for _, line := range now[kind] {
			if !slices.Contains(l[kind], line) {
				errs = append(errs, fmt.Errorf("%s: left: %s", kind, line))
			}
		}
		for _, line := range l[kind] {
			if !slices.Contains(now[kind], line) {
				errs = append(errs, fmt.Errorf("%s: gone: %s", kind, line))
			}
		}
	}
	return errors.Join(errs...)
}

func lines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}

// mounts are those of the tests' mount namespace, but for what others on the
// machine had in their own directories when it was copied: that goes when its
// mount point is removed there.
func mounts() ([]string, error) {
	info, err := lines("/proc/self/mountinfo")
	var all []string
	for _, line := range info {
		f := strings.Fields(line)
		root, point := f[3], f[4] // ids and counters change
		others := strings.HasPrefix(point, "/tmp/") || strings.HasPrefix(point, "/run/")
		if !others || strings.HasPrefix(point, runDir()+"/") {
			all = append(all, root+" "+point)
		}
	}
	return all, err
}

func interfaces() ([]string, error) {
	links, err := netlink.LinkList()
	var all []string
	for _, l := range links {
		all = append(all, fmt.Sprintf("%s %s", l.Attrs().Name, l.Type()))
	}
	return all, err
}

func routes() ([]string, error) {
	list, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	var all []string
	for _, r := range list {
		all = append(all, fmt.Sprintf("%v dev %d via %v", r.Dst, r.LinkIndex, r.Gw))
	}
	return all, err
}

func rules() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTables()
	var all []string
	for _, t := range tables {
		all = append(all, fmt.Sprintf("table %d %s", t.Family, t.Name))
	}
	return all, err
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

func loops() ([]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var all []string
	for _, path := range backing {
		data, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(data), runDir()+"/") {
			all = append(all, filepath.Base(filepath.Dir(filepath.Dir(path)))+" "+strings.TrimSpace(string(data)))
		}
	}
	return all, err
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

// sockets are the unix sockets with a path of the run's, and TCP listeners.
func sockets() ([]string, error) {
	unix, err := lines("/proc/self/net/unix")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, line := range unix {
		if strings.Contains(line, "/run/proxy.sock") {
			continue // the proxy's own: it comes some time after the supervisor, and goes with it
		}
		if f := strings.Fields(line); len(f) == 8 && (strings.HasPrefix(f[7], runDir()) || strings.HasPrefix(f[7], "@")) {
			all = append(all, f[7])
		}
	}
	tcp, err := lines("/proc/self/net/tcp")
	for _, line := range tcp {
		const listening = "0A"
		if f := strings.Fields(line); len(f) > 3 && f[3] == listening {
			all = append(all, "tcp "+f[1])
		}
	}
	return all, err
}
