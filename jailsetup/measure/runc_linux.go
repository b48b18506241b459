package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// runc is the peer: Debian's, on a bundle whose root is the host's /usr and whose
// namespaces are a jail's.
type runc struct {
	program string
	dir     string
	mode    string // how this host moves processes between cgroups
	n       int
}

// idBase is the first id of the peer's range, apart from jails'.
const idBase = 1 << 23

func newRunc(h *host) (*runc, error) {
	program, err := exec.LookPath("runc")
	if err != nil {
		return nil, fmt.Errorf("the peer is missing: %w (apt-get install runc)", err)
	}
	r := &runc{program: program, dir: filepath.Join(h.dir, "runc"), mode: moveMode()}
	root := filepath.Join(r.dir, "bundle", "rootfs")
	for _, d := range []string{"usr", "proc", "dev", "sys", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return nil, err
		}
	}
	for _, l := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+l, filepath.Join(root, l)); err != nil {
			return nil, err
		}
	}
	// The peer's root walks to its root file system as the host's user idBase.
	for _, d := range []string{h.o.Dir, h.dir, r.dir, filepath.Join(r.dir, "bundle"), root} {
		if err := os.Chmod(d, 0o711); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(root, idBase, idBase); err != nil {
		return nil, err
	}
	config, err := json.Marshal(bundle())
	if err != nil {
		return nil, err
	}
	return r, os.WriteFile(filepath.Join(r.dir, "bundle", "config.json"), config, 0o644)
}

// moveMode tells what costs 10 ms and more where it is slow (spec/linux.md §7).
func moveMode() string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err == nil && strings.Contains(string(mounts), "favordynmods") {
		return "fast (favordynmods)"
	}
	return "as the kernel has them (no favordynmods)"
}

type object = map[string]any

// bundle is what runc is told: as much isolation as a jail, a tmpfs fewer.
func bundle() object {
	ids := []object{{"containerID": 0, "hostID": idBase, "size": 65536}}
	var namespaces []object
	for _, kind := range []string{"user", "pid", "network", "mount", "uts", "ipc", "cgroup"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	mount := func(at, kind string, options ...string) object {
		return object{"destination": at, "type": kind, "source": kind, "options": options}
	}
	usr := mount("/usr", "bind", "rbind", "ro")
	usr["source"] = "/usr"
	return object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": 0, "gid": 0}, "args": []string{"/usr/bin/true"}, "cwd": "/",
			"env": []string{"PATH=/usr/bin:/bin"}, "noNewPrivileges": false,
		},
		"root":     object{"path": "rootfs"},
		"hostname": "peer",
		"mounts": []object{
			usr, mount("/proc", "proc"), mount("/dev", "tmpfs", "nosuid", "mode=755", "size=65536k"),
			mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
			mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777"),
			mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
		},
		"linux": object{
			"uidMappings": ids, "gidMappings": ids, "namespaces": namespaces,
			"resources":     object{"pids": object{"limit": 512}, "memory": object{"limit": 512 << 20}, "cpu": object{"shares": 1024}},
			"maskedPaths":   []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			"readonlyPaths": []string{"/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sysrq-trigger"},
		},
	}
}

// run times one container from the start of runc to its end.
func (r *runc) run(ctx context.Context) (time.Duration, error) {
	r.n++
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "--root", filepath.Join(r.dir, "state"), "run",
		"--bundle", filepath.Join(r.dir, "bundle"), fmt.Sprintf("peer%d-%d", os.Getpid(), r.n))
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		err = errors.Join(fmt.Errorf("runc run true: %w", err), errors.New(strings.TrimSpace(string(out))))
	}
	return took, err
}
