package limit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// parent is the directory above all jails', in each hierarchy.
const parent = "emulab"

// basic are the controllers that every jail's limits need.
func basic() []string { return []string{"cpu", "memory", "pids"} }

// Hierarchies is where this host has its cgroups mounted.
type Hierarchies struct {
	V2 string            // mount point of the unified hierarchy
	V1 map[string]string // controller → mount point, for controllers that v1 holds
}

// Discover reads the mount table. Without a unified hierarchy it is an error:
// killing, attestation and port rules rest on it.
func Discover() (Hierarchies, error) {
	h := Hierarchies{V1: map[string]string{}}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return h, fmt.Errorf("read mount table: %w", err)
	}
	for _, m := range mounts {
		if m.Root != "/" {
			continue // a part of a hierarchy, shown to somebody else
		}
		if m.FSType == "cgroup2" {
			h.V2 = m.Mountpoint
			continue
		}
		for name := range strings.SplitSeq(m.VFSOptions, ",") {
			switch {
			case slices.Contains(basic(), name):
				h.V1[name] = m.Mountpoint
			case name == ioControllerV1:
				h.V1[ioController] = m.Mountpoint
			}
		}
	}
	if h.V2 == "" {
		return h, errors.New("no cgroup v2 hierarchy is mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)")
	}
	return h, nil
}

// dir is the directory that holds the controller's files for the jail.
func (h Hierarchies) dir(controller, vnode string) string {
	if v1, ok := h.V1[controller]; ok {
		return filepath.Join(v1, parent, vnode)
	}
	return filepath.Join(h.V2, parent, vnode)
}

// dirs is every directory of the jail, v2 first.
func (h Hierarchies) dirs(vnode string, controllers ...string) []string {
	list := []string{filepath.Join(h.V2, parent, vnode)}
	for _, c := range controllers {
		if d := h.dir(c, vnode); !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// delegate turns the controllers on below the v2 root, for those that v1
// doesn't hold. A controller that the kernel lacks stays off; the limit that
// needs it will say so.
func (h Hierarchies) delegate(controllers ...string) error {
	for _, c := range controllers {
		if _, ok := h.V1[c]; ok {
			continue
		}
		for _, at := range [...]string{h.V2, filepath.Join(h.V2, parent)} {
			err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+c), 0)
			if err != nil {
				return fmt.Errorf("turn on cgroup controller %s: %w", c, err)
			}
		}
	}
	return nil
}
