package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/rootfs/tree"
)

// Probes that try the thing itself, on something that is made for it and goes
// at once. They need root, as all that follows them does.

// jailNamespaceFlags are the namespaces that a jail has of its own.
const jailNamespaceFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS |
	unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP

// probeNamespaces starts a process in all of them.
func probeNamespaces() error { return inNamespaces(jailNamespaceFlags, func(int) error { return nil }) }

// inNamespaces lets look see a process in new namespaces, which is stopped
// before its first instruction and killed afterwards.
func inNamespaces(flags uintptr, look func(pid int) error) error {
	ids := []syscall.SysProcIDMap{{HostID: tree.FirstIDBase, Size: 1}}
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, UidMappings: ids, GidMappings: ids, Ptrace: true}
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	err := look(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed, as it was meant to be
	return err
}

// probeIDMap maps the ids of a tmpfs that nobody else sees.
func probeIDMap() error {
	return inNamespaces(unix.CLONE_NEWUSER, func(pid int) error {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
		if err != nil {
			return err
		}
		defer ns.Close()
		fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
		if err != nil {
			return fmt.Errorf("open a tmpfs: %w", err)
		}
		defer unix.Close(fs)
		if err := unix.FsconfigCreate(fs); err != nil {
			return fmt.Errorf("make a tmpfs: %w", err)
		}
		mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
		defer unix.Close(mount)
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
		if err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &attr); err != nil {
			return fmt.Errorf("map the ids of a tmpfs: %w", err)
		}
		return nil
	})
}

// probeOpenat2 opens what lies below a directory, and nothing else.
func probeOpenat2() error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV}
	root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, ".", &how)
	if err != nil {
		return fmt.Errorf("openat2: %w", err)
	}
	return unix.Close(fd)
}

// probePidfd asks a pidfd about this process.
func probePidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CGROUPID}
	if err := unix.IoctlPidfdInfo(fd, &info); err != nil {
		return fmt.Errorf("PIDFD_GET_INFO: %w", err)
	}
	if int(info.Tgid) != os.Getpid() || info.Mask&unix.PIDFD_INFO_CGROUPID == 0 {
		return errors.New("PIDFD_GET_INFO doesn't tell the cgroup")
	}
	return nil
}

// probeSeccomp loads a filter that allows everything, into a thread that ends
// with it.
func probeSeccomp() error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never given back
		allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
		prog := unix.SockFprog{Len: 1, Filter: &allow}
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
		if errno != 0 {
			done <- fmt.Errorf("load a system call filter: %w", errno)
			return
		}
		done <- nil
	}()
	return <-done
}

// probeRules makes a table of each family that we use, with a rule that looks at
// connections, in a network namespace of its own.
func probeRules() error {
	return network.InNew(func() error {
		for family, name := range map[nftables.TableFamily]string{
			nftables.TableFamilyINet: "inet", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyNetdev: "netdev",
		} {
			c, err := nftables.New()
			if err != nil {
				return err
			}
			table := c.AddTable(&nftables.Table{Family: family, Name: "probe"})
			chain := c.AddChain(&nftables.Chain{Table: table, Name: "probe"})
			if family == nftables.TableFamilyINet {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}})
			}
			if err := c.Flush(); err != nil {
				return fmt.Errorf("make a table of family %s: %w", name, err)
			}
		}
		return nil
	})
}

// inCgroup gives f a cgroup of ours that nobody is in.
func inCgroup(f func(dir string) error) error {
	h, err := limit.Discover()
	if err != nil {
		return err
	}
	if err := sweepProbes(h.V2); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(h.V2, probePrefix)
	if err != nil {
		return err
	}
	return errors.Join(f(dir), os.Remove(dir))
}

// A probe's cgroup, and how old one is that somebody has left who was killed.
const (
	probePrefix = "emujail-doctor-"
	probeStale  = time.Minute
)

// sweepProbes removes what killed probes have left.
func sweepProbes(hierarchy string) error {
	left, err := filepath.Glob(filepath.Join(hierarchy, probePrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) < probeStale {
			continue // another's, at work
		}
		if err == nil {
			err = os.Remove(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func probeCgroupKill() error { return inCgroup(killIn) }

// killIn kills whatever is in the cgroup.
func killIn(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("1")
	return errors.Join(err, f.Close())
}

// probePrograms attaches one to a cgroup, and two to a loopback device.
func probePrograms() error {
	const loopback = 1
	return errors.Join(inCgroup(permit.ProbeCgroup), network.InNew(func() error {
		return errors.Join(permit.ProbeLink(loopback), network.ProbeLAN())
	}))
}
