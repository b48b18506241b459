package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/limit"
	"emujail/jailsetup/rootfs/tree"
)

// Facts are what is seen of a jail from outside.
type Facts struct {
	Site   jail.Site
	Record jail.Record
	Others []jail.Record // the host's other jails

	Mounts    []*mountinfo.Info // of the jail's first process
	Processes []Process         // in the jail's cgroup
	Limits    limit.Hierarchies

	Namespaces map[string]Namespace // of the first process, by the names of /proc/PID/ns
	Owner      int                  // user id of the host that the user namespace belongs to
	Masks      []string             // paths below /usr that others can't read, as of now
}

// Namespace is one that the first process is in.
type Namespace struct {
	Own     bool // not this process's
	ByOwner bool // the jail's user namespace owns it
}

// Process is one of the jail's.
type Process struct {
	PID    int
	Status map[string]string // of /proc/PID/status
	Mapped bool              // all its ids are of the jail's range
}

// Look gathers the facts of a jail that runs. It reads only. masks are the
// paths below /usr that others can't read.
func Look(site jail.Site, r jail.Record, others []jail.Record, masks []string) (*Facts, error) {
	pidfd, err := r.Pin()
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", r.VNode, err)
	}
	defer pidfd.Close()
	f := &Facts{Site: site, Record: r, Others: others, Masks: masks}
	if f.Mounts, err = mountsOf(r.PID); err != nil {
		return nil, fmt.Errorf("look at mounts of %s: %w", r.VNode, err)
	}
	if f.Limits, err = limit.Discover(); err != nil {
		return nil, err
	}
	if f.Namespaces, err = namespacesOf(r.PID); err != nil {
		return nil, fmt.Errorf("look at namespaces of %s: %w", r.VNode, err)
	}
	if f.Owner, err = userOf(r.PID); err != nil {
		return nil, fmt.Errorf("look at the user namespace of %s: %w", r.VNode, err)
	}
	if f.Processes, err = processesOf(r); err != nil {
		return nil, fmt.Errorf("look at processes of %s: %w", r.VNode, err)
	}
	// What was read is of this jail, or it was not all read.
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), 0, nil, 0); err != nil {
		return nil, fmt.Errorf("look at %s: it has just ended", r.VNode)
	}
	return f, nil
}

func mountsOf(pid int) ([]*mountinfo.Info, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return mountinfo.GetMountsFromReader(file, nil)
}

func namespacesOf(pid int) (map[string]Namespace, error) {
	user, err := nsInode(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return nil, err
	}
	all := map[string]Namespace{}
	for _, kind := range [...]string{"user", "pid", "mnt", "uts", "ipc", "net", "cgroup"} {
		path := fmt.Sprintf("/proc/%d/ns/%s", pid, kind)
		its, err := nsInode(path)
		if err != nil {
			return nil, err
		}
		mine, err := nsInode("/proc/self/ns/" + kind)
		if err != nil {
			return nil, err
		}
		owner, err := ownerOf(path)
		if err != nil {
			return nil, err
		}
		all[kind] = Namespace{Own: its != mine, ByOwner: owner == user}
	}
	return all, nil
}

func nsInode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// ownerOf is the user namespace that owns the one at path.
func ownerOf(path string) (uint64, error) {
	ns, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	fd, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return 0, fmt.Errorf("ask for the owner of %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Ino, err
}

// userOf is the user id of the host against which the kernel counts what the
// process's user namespace takes.
func userOf(pid int) (int, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	uid, err := unix.IoctlGetUint32(int(ns.Fd()), unix.NS_GET_OWNER_UID)
	return int(uid), err
}

// maxProcesses bounds what is looked at of a jail with very many.
const maxProcesses = 10000

func processesOf(r jail.Record) ([]Process, error) {
	text, err := os.ReadFile(filepath.Join(r.CgroupDir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		p, err := lookAtProcess(pid, r.IDBase)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		if all = append(all, p); len(all) == maxProcesses {
			break
		}
	}
	return all, nil
}

func lookAtProcess(pid, base int) (Process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, Status: map[string]string{}, Mapped: true}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		p.Status[key] = strings.TrimSpace(value)
	}
	for _, word := range strings.Fields(p.Status["Uid"] + " " + p.Status["Gid"]) {
		id, err := strconv.Atoi(word)
		if err != nil || id < base || id >= base+tree.IDCount {
			p.Mapped = false
		}
	}
	return p, nil
}
