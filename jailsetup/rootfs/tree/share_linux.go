package tree

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Share is a directory of the host that a jail may write: a project's, a
// user's, the project's local store.
type Share struct {
	Source string `json:"source"`            // on the host; no link on its way is followed
	Target string `json:"target"`            // in the jail, no leading slash
	OnDisk bool   `json:"on_disk,omitempty"` // beside what the jail itself has there: its disk gets the directory
}

// firstPersonID is where people's ids begin. Ids below it are the system's on
// the host and in the jail, and don't pass through a share.
const firstPersonID = 1000

// mountShares attaches the shares. Each is idmapped through a user namespace
// that leaves the system's ids out: else the jail's root would write what the
// host's root owns (S19, spec/linux.md §3.2). What can't be idmapped is refused,
// never mounted without (T12).
//
// The directories that they are attached to lie on a tmpfs made here, one for
// each directory of the root, which covers what the jail's own disk has there.
// Those that are to cover nothing lie on the disk: [Image.idmapped] has made them.
func (b *builder) mountShares() error {
	if len(b.Shares) == 0 {
		return nil
	}
	people, err := b.people.wait()
	if err != nil {
		return err
	}
	for _, top := range tops(b.Shares) {
		if err := b.makeTargets(top); err != nil {
			return err
		}
	}
	for _, s := range b.Shares {
		if err := b.mountShare(s, people); err != nil {
			return err
		}
	}
	return nil
}

func tops(shares []Share) []string {
	var list []string
	for _, s := range shares {
		if top, _, _ := strings.Cut(s.Target, "/"); !s.OnDisk {
			list = append(list, top)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// makeTargets covers one directory of the root by a tmpfs with the
// directories that shares need below it.
func (b *builder) makeTargets(top string) error {
	m, err := newFS("tmpfs", []option{{"size", "64k"}, {"nr_inodes", "4096"}, {"mode", "755"}}, nil, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	defer m.close()
	m.name = "directories for /" + top
	for _, s := range b.Shares {
		below, ok := strings.CutPrefix(s.Target, top+"/")
		if !ok {
			continue
		}
		for at, part := "", below; part != ""; {
			var name string
			name, part, _ = strings.Cut(part, "/")
			at = path.Join(at, name)
			if err := unix.Mkdirat(m.fd, at, 0o755); err != nil && err != unix.EEXIST {
				return fmt.Errorf("make /%s/%s: %w", top, at, err)
			}
		}
	}
	if err := m.set(0, b.UserNS); err != nil {
		return err
	}
	return m.attach(b.root, top)
}

func (b *builder) mountShare(s Share, people *os.File) error {
	at, err := unix.Openat2(unix.AT_FDCWD, s.Source, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return fmt.Errorf("open %s to share it: %w", s.Source, err)
	}
	defer unix.Close(at)
	fd, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("clone %s: %w", s.Source, err)
	}
	m := mounted{fd, s.Source}
	defer m.close()
	if err := m.set(unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, people); err != nil {
		return fmt.Errorf("%w (its file system can't map ids; such a directory is not shared: site file, shares and local)", err)
	}
	return m.attach(b.root, s.Target)
}

// people is a user namespace that is being made, see [beginPeople].
type people struct {
	done chan struct{}
	ns   *os.File
	err  error
}

// beginPeople begins to make the namespace that shares are mapped by, on a thread
// of its own, and returns at once: the jail's disk is waited for meanwhile.
func beginPeople(base int) *people {
	p := &people{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// Whoever traces a process has to outlive it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.ns, p.err = peopleNamespace(base)
	}()
	return p
}

func (p *people) wait() (*os.File, error) {
	<-p.done
	return p.ns, p.err
}

// close waits, too: no process of ours is left in the middle.
func (p *people) close() {
	if ns, err := p.wait(); err == nil {
		ns.Close()
	}
}

// peopleNamespace is a user namespace that maps people's ids of a jail and no
// others. It is made by a process that is stopped before its first
// instruction, looked at, and killed.
func peopleNamespace(base int) (*os.File, error) {
	ids := []syscall.SysProcIDMap{{ContainerID: firstPersonID, HostID: base + firstPersonID, Size: IDCount - firstPersonID}}
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Ptrace: true,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make a user namespace for shares: %w", err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed, as it was meant to be
	if err != nil {
		return nil, fmt.Errorf("open the user namespace for shares: %w", err)
	}
	return ns, nil
}
