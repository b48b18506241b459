package leftover

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// List looks at the host, in the namespaces of the caller.
func (s Scope) List() (Listing, error) {
	kinds := map[string]Lister{
		"mounts": s.mounts, "interfaces": s.interfaces, "routes": routes, "rules": rules,
		"loop devices": s.loops, "sockets": s.sockets,
	}
	maps.Copy(kinds, s.More)
	l := Listing{}
	for kind, f := range kinds {
		lines, err := f()
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		slices.Sort(lines)
		l[kind] = lines
	}
	return l, nil
}

func lines(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}

// mounts are root and mount point of each; ids and counters change.
func (s Scope) mounts() ([]string, error) {
	info, err := lines("/proc/self/mountinfo")
	var all []string
	for _, line := range info {
		f := strings.Fields(line)
		if root, point := f[3], f[4]; counts(s.Mount, point) {
			all = append(all, root+" "+point)
		}
	}
	return all, err
}

func (s Scope) interfaces() ([]string, error) {
	links, err := netlink.LinkList()
	var all []string
	for _, l := range links {
		line := fmt.Sprintf("%s %s", l.Attrs().Name, l.Type())
		if s.Numbers {
			line = fmt.Sprintf("%d %s", l.Attrs().Index, line)
		}
		all = append(all, line)
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

func (s Scope) loops() ([]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var all []string
	for _, path := range backing {
		data, err := os.ReadFile(path)
		if file := strings.TrimSpace(string(data)); err == nil && counts(s.Backing, file) {
			all = append(all, filepath.Base(filepath.Dir(filepath.Dir(path)))+" "+file)
		}
	}
	return all, err
}

func (s Scope) sockets() ([]string, error) {
	unix, err := lines("/proc/self/net/unix")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, line := range unix {
		if f := strings.Fields(line); len(f) == 8 && counts(s.Socket, f[7]) {
			all = append(all, f[7])
		}
	}
	tcp, err := lines("/proc/self/net/tcp")
	for _, line := range tcp {
		const listening = "0A"
		if f := strings.Fields(line); len(f) > 3 && f[3] == listening && counts(s.Listener, f[1]) {
			all = append(all, "tcp "+f[1])
		}
	}
	return all, err
}
