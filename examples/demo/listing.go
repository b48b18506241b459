//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// listing is what a jail could leave behind, a sorted list a kind: mounts,
// interfaces, cgroups, loop devices, processes, sockets, rules, namespaces.
type listing map[string][]string

// list looks at the host.
func list() (listing, error) {
	l := listing{}
	for kind, f := range map[string]func() ([]string, error){
		"mounts": mounts, "interfaces": interfaces, "cgroups": cgroups, "loop devices": loops,
		"processes": processes, "sockets": sockets, "rules": rules, "routes": routes, "files": files,
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
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		all = append(all, sc.Text())
	}
	return all, sc.Err()
}

func mounts() ([]string, error) {
	all, err := lines("/proc/self/mountinfo")
	for i, line := range all {
		f := strings.Fields(line)
		all[i] = strings.Join(f[3:5], " ") // root and mount point; ids and counters change
	}
	return all, err
}

func interfaces() ([]string, error) {
	links, err := netlink.LinkList()
	var all []string
	for _, l := range links {
		all = append(all, fmt.Sprintf("%d %s %s", l.Attrs().Index, l.Attrs().Name, l.Type()))
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

func cgroups() ([]string, error) {
	var all []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // one that has just gone
		}
		if d.IsDir() && strings.Contains(path, "/emulab") {
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

func loops() ([]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var all []string
	for _, path := range backing {
		if data, err := os.ReadFile(path); err == nil {
			all = append(all, filepath.Base(filepath.Dir(filepath.Dir(path)))+" "+strings.TrimSpace(string(data)))
		}
	}
	return all, err
}

// firstJailID is where jails' ids begin; no process of the host's has such.
const firstJailID = 1 << 24

// processes are those with a jail's ids, and the program that starts them.
func processes() ([]string, error) {
	statuses, err := filepath.Glob("/proc/[0-9]*/status")
	var all []string
	for _, path := range statuses {
		status, err := lines(path)
		if err != nil {
			continue // ended meanwhile
		}
		var name string
		var uid int
		for _, line := range status {
			fmt.Sscanf(line, "Name: %s", &name)
			fmt.Sscanf(line, "Uid: %d", &uid)
		}
		if uid >= firstJailID || name == "jailspawn" {
			all = append(all, filepath.Base(filepath.Dir(path))+" "+name)
		}
	}
	return all, err
}

// sockets are unix sockets with a path of the demo's, and TCP ones that listen
// on a port of the demo's.
func sockets() ([]string, error) {
	unix, err := lines("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, line := range unix {
		if f := strings.Fields(line); len(f) == 8 && strings.HasPrefix(f[7], runDir) {
			all = append(all, f[7])
		}
	}
	tcp, err := lines("/proc/net/tcp")
	for _, line := range tcp {
		f := strings.Fields(line)
		const listening = "0A"
		if len(f) > 3 && f[3] == listening && (strings.HasSuffix(f[1], hexPort(tmcdPort)) || strings.HasSuffix(f[1], hexPort(webPort))) {
			all = append(all, "tcp "+f[1])
		}
	}
	return all, err
}

func hexPort(n int) string { return fmt.Sprintf(":%04X", n) }

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

// files are those of the demo's that belong to a jail.
func files() ([]string, error) {
	var all []string
	for _, root := range []string{filepath.Join(stateDir, "jails"), filepath.Join(runDir, "jails"), filepath.Join(runDir, "netns")} {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "x-") {
				all = append(all, filepath.Join(root, e.Name()))
			}
		}
	}
	return all, nil
}

// snapshotWorld lists the host just before the first jail.
func (w *world) snapshotWorld() (err error) {
	w.withWorld, err = list()
	return err
}

// awaitAsBefore waits until the host is as it was before the demo.
func (w *world) awaitAsBefore() error {
	return until(context.Background(), 5*time.Second, "the host to be as before the demo", func() error {
		now, err := list()
		if err != nil {
			return err
		}
		return w.before.diff(now)
	})
}
