//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Ways to take a wall away, from the host, by what only the host's root may do.

// inMounts runs f on a thread of its own whose mount namespace is the jail's,
// with the rights of the host's root. The thread ends with it.
func (r *rig) inMounts(t *testing.T, vnode string, f func() error) {
	t.Helper()
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", r.firstPID(vnode)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ns)
	done := make(chan error)
	go onOwnThread(func() {
		err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(ns, unix.CLONE_NEWNS))
		if err == nil {
			err = f()
		}
		done <- err
	})
	if err := <-done; err != nil {
		t.Fatalf("in the mount namespace of %s: %v", vnode, err)
	}
}

// onOwnThread runs f on a thread that ends with it: never the first one, which
// would stay, and be what /proc/self shows.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
}

// attach shows a directory or file of the host's in the jail, writable and
// without a map of ids.
func (r *rig) attach(t *testing.T, vnode, source, target string) {
	t.Helper()
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r.inMounts(t, vnode, func() error { return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH) })
}

func (r *rig) detach(t *testing.T, vnode, target string) {
	t.Helper()
	r.inMounts(t, vnode, func() error { return unix.Unmount(target, unix.MNT_DETACH) })
}

// Namespaces of a jail, for [rig.unwalled].
const (
	innerUser  = "-U" // with it: the jail's root, without the system call filter and with every capability
	allButUser = "-m -u -i -n -p"
)

// unwalled runs a program in namespaces of a jail, but without its system call
// filter, its bounding set and its cgroup: as the host's root, if the user
// namespace isn't among them.
func (r *rig) unwalled(t *testing.T, vnode string, namespaces []string, argv ...string) result {
	t.Helper()
	words := append([]string{"-t", fmt.Sprint(r.firstPID(vnode))}, namespaces...)
	cmd := exec.Command("nsenter", append(append(words, "--"), argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return r.finish(cmd)
}

// dropBindPrograms detaches what judges the jail's bind(2).
func (r *rig) dropBindPrograms(t *testing.T, vnode string) {
	t.Helper()
	cgroup, err := os.Open(cgroupDir(vnode))
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	for _, at := range []ebpf.AttachType{ebpf.AttachCGroupInet4Bind, ebpf.AttachCGroupInet6Bind} {
		list, err := link.QueryPrograms(link.QueryOptions{Target: int(cgroup.Fd()), Attach: at})
		if err != nil || len(list.Programs) == 0 {
			t.Fatalf("programs at %s: %d, %v", at, len(list.Programs), err)
		}
		for _, p := range list.Programs {
			prog, err := ebpf.NewProgramFromID(p.ID)
			if err != nil {
				t.Fatal(err)
			}
			err = link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(cgroup.Fd()), Program: prog, Attach: at})
			prog.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
