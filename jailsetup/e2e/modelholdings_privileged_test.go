//go:build linux && privileged

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"emujail/jailsetup/leftover"
	"emujail/jailsetup/network"
)

// What jails have on the host, in words that don't depend on what was before:
// neither numbers of boots nor of devices, nor addresses of a pool. So what
// several jails have is what each has alone, together.

// Names of a jail's host ends: eight digits of the vnode, two of the interface,
// four of the boot. The ends of a splice have interfaces from c0 up.
var (
	hostEndName = regexp.MustCompile(`\bv([a-z2-7]{8})([0-9a-z]{2})[0-9a-z]{4}\b`)
	hostEndMAC  = regexp.MustCompile(`\bfe(:[0-9a-f]{2}){5}\b`)
	inode       = regexp.MustCompile(`net:\[\d+\]`) // of a namespace
)

// holdings lists the host.
func (h *modelHost) holdings() (leftover.Listing, error) {
	l, err := list()
	if err != nil {
		return nil, err
	}
	private := h.privateAddresses()
	if l["network"], err = network.Listing(context.Background(), h.path("run")); err != nil {
		return nil, err
	}
	for kind, lines := range l {
		var words []string
		for _, line := range lines {
			if line = wordOf(kind, private.Replace(line)); line != "" {
				words = append(words, line)
			}
		}
		slices.Sort(words)
		l[kind] = slices.Compact(words)
	}
	if l["processes"], err = h.processes(); err != nil {
		return nil, err
	}
	if l["loop devices"], err = h.loops(); err != nil {
		return nil, err
	}
	l["files"], err = h.files()
	return l, err
}

// loops are the disks of jails that are on a loop device: the kernel shows the
// path below the state directory, as that is a mount.
func (h *modelHost) loops() ([]string, error) {
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var all []string
	for _, path := range backing {
		data, err := os.ReadFile(path)
		if vnode := filepath.Base(filepath.Dir(string(data))); err == nil && slices.Contains(h.vnodes, vnode) {
			all = append(all, vnode)
		}
	}
	slices.Sort(all)
	return all, err
}

// wordOf makes of a line what every boot of the same jail has.
func wordOf(kind, line string) string {
	switch {
	case strings.HasSuffix(line, "/run/delaynode.sock"): // goes with the delay node
		return ""
	case kind != "network":
		return inode.ReplaceAllString(line, "net")
	}
	spliced := false
	line = hostEndName.ReplaceAllStringFunc(line, func(name string) string {
		m := hostEndName.FindStringSubmatch(name)
		spliced = spliced || m[2] >= "c0"
		return "v" + m[1] + m[2]
	})
	if spliced { // the model counts them apart
		return ""
	}
	return hostEndMAC.ReplaceAllString(line, "fe")
}

// privateAddresses names the address of each jail that has a private one by the
// jail, and the MAC that ends with it.
func (h *modelHost) privateAddresses() *strings.Replacer {
	var words []string
	for i, v := range h.vnodes {
		if r, err := h.record(v); err == nil && r.Private.IsValid() {
			a, name := r.Private.As4(), "private-of-"+modelVNodes[i].name
			words = append(words, r.Private.String(), name, fmt.Sprintf("%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3]), name,
				fmt.Sprintf("0245%02x%02x%02x%02x", a[0], a[1], a[2], a[3]), name)
		}
	}
	return strings.NewReplacer(words...)
}

// processes are those outside jails by name, and of each jail that it has some.
func (h *modelHost) processes() ([]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	count := map[string]int{}
	for _, dir := range dirs {
		groups, err := os.ReadFile(dir + "/cgroup")
		if err != nil {
			continue
		}
		if _, after, inside := strings.Cut(string(groups), "/emulab/"); inside {
			if vnode, _, _ := strings.Cut(after, "\n"); slices.Contains(h.vnodes, vnode) {
				count["of "+vnode] = 1
			}
			continue
		}
		name, err := os.ReadFile(dir + "/comm")
		if err == nil && sharesNamespace(dir) {
			count[strings.TrimSpace(string(name))]++
		}
	}
	delete(count, "delaynode") // the model knows when there is one
	if count["jailspawn"] <= 2 {
		delete(count, "jailspawn") // the next jail's is started ahead, some time
	}
	var all []string
	for name, n := range count {
		all = append(all, name+" "+strconv.Itoa(n))
	}
	slices.Sort(all)
	return all, err
}

// files are those below the state and the run directory, but for logs, what is
// the same for all jails, and what replaces a record or a trace.
func (h *modelHost) files() ([]string, error) {
	var all []string
	for _, root := range []string{h.state(), h.path("run")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile
			}
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(h.dir, path)
			if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			replaces := strings.HasSuffix(name, "/record.json.new") || strings.HasSuffix(name, "/trace.json.new")
			if top := strings.Count(name, "/") == 1; top && !d.IsDir() || replaces {
				return nil
			}
			all = append(all, hostEndName.ReplaceAllString(name, "v$1$2"))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("walk %s: %w", root, err)
		}
	}
	slices.Sort(all)
	return all, nil
}

// without is what the one has and the other hasn't.
func without(l, other leftover.Listing) leftover.Listing {
	left := leftover.Listing{}
	for kind, lines := range l {
		for _, line := range lines {
			if !slices.Contains(other[kind], line) {
				left[kind] = append(left[kind], line)
			}
		}
	}
	return left
}

// with is what both have.
func with(l, other leftover.Listing) leftover.Listing {
	both := leftover.Listing{}
	for kind, lines := range l {
		both[kind] = slices.Concat(lines, other[kind])
		slices.Sort(both[kind])
		both[kind] = slices.Compact(both[kind])
	}
	for kind, lines := range other {
		if _, ok := both[kind]; !ok {
			both[kind] = lines
		}
	}
	return both
}
