package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/rootfs/tree"
)

// Main is jailspawn: it reads its Config from standard input, talks over
// descriptor 3, and returns its exit code. Errors go to the other side; what
// can't go there goes to standard error.
func Main() int {
	conn, err := asConn(os.NewFile(3, "control"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "jailspawn: descriptor 3: %v (jailsetup starts this program; it is of no use alone)\n", err)
		return 2
	}
	defer conn.Close()
	if err := run(conn); err != nil {
		if sent := send(conn, message{Error: err.Error()}); sent != nil {
			fmt.Fprintf(os.Stderr, "jailspawn: %v\n", err)
		}
		return 1
	}
	return 0
}

func run(conn *net.UnixConn) error {
	// Everything below happens on one thread, whose namespaces change. The
	// other threads keep the host's.
	runtime.LockOSThread()
	input := json.NewDecoder(io.LimitReader(os.Stdin, maxConfigBytes))
	var disk Disk
	if err := input.Decode(&disk); err != nil {
		return fmt.Errorf("read which disk: %w", err)
	}
	image := tree.Open(disk.Image)
	var c Config
	if err := input.Decode(&c); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	procs, err := openAll(c.CgroupProcs)
	if err != nil {
		return err
	}
	if err := unshare(c.Hostname); err != nil {
		return err
	}
	first, err := startFirst(c)
	if err != nil {
		return err
	}
	placed := make(chan error, 1)
	go func() { placed <- place(procs, first.cmd.Process.Pid) }() // 10-15 ms the first time (spec/linux.md §7)

	ns, err := openNamespaces(first.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := send(conn, message{Started: first.cmd.Process.Pid}, first.pidfd, ns.UserNS, ns.PIDNS, ns.NetNS); err != nil {
		return fmt.Errorf("report the first process: %w", err)
	}
	if err := c.Layout.Build(image, ns, first.awaitReady); err != nil {
		return err
	}
	if err := <-placed; err != nil {
		return err
	}
	return first.letGo(conn)
}

func openAll(paths []string) ([]*os.File, error) {
	var files []*os.File
	for _, p := range paths {
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func place(procs []*os.File, pid int) error {
	for _, f := range procs {
		if _, err := f.WriteString(strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("put the first process into its cgroup: %w", err)
		}
		f.Close()
	}
	return nil
}

// unshare gives the thread the namespaces that the host's root owns: the
// jail's root has no say over their host name and IPC objects (S5, S13).
func unshare(hostname string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("unshare mount, uts and ipc namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name %q: %w", hostname, err)
	}
	return nil
}

// programPath is stage 0's program as the child finds it: its descriptor 4.
const programPath = "/proc/self/fd/4"

// first is the jail's first process, still stage 0.
type first struct {
	cmd   *exec.Cmd
	pidfd *os.File
	conn  *net.UnixConn
}

// startFirst starts stage 0 in its own user, pid and network namespaces and in
// its cgroup. It sees the host's tree until pivot_root moves it along.
func startFirst(c Config) (*first, error) {
	cgroup, err := os.Open(c.CgroupDir)
	if err != nil {
		return nil, err
	}
	defer cgroup.Close()
	program, err := os.Open(c.Injail)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	pidfd := -1
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: c.Layout.IDBase, Size: tree.IDCount}}
	// By descriptor: the jail's ids may not search the directory that it lies
	// in, and the child has them before it executes.
	cmd := exec.Command(programPath, "stage0", "-max-user-ns", strconv.Itoa(c.MaxUserNS))
	cmd.Args[0] = "injail"
	cmd.Env = []string{"TMCCVNODEID=" + c.VNode}
	cmd.ExtraFiles = []*os.File{theirs, program} // 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		UidMappings:                ids,
		GidMappings:                ids,
		GidMappingsEnableSetgroups: true, // else su, sshd and cron fail in setgroups
		Credential:                 &syscall.Credential{Uid: 0, Gid: 0},
		Setsid:                     true,
		UseCgroupFD:                true,
		CgroupFD:                   int(cgroup.Fd()),
		PidFD:                      &pidfd,
	}
	if err := asOwner(c.Layout.IDBase, cmd.Start); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start the first process: %w", err)
	}
	return &first{cmd, os.NewFile(uintptr(pidfd), "pidfd"), ours}, nil
}

// noSetUIDFixup is SECBIT_NO_SETUID_FIXUP of capabilities(7).
const noSetUIDFixup = 1 << 2

// asOwner calls start with the effective user id of who shall own the jail's user
// namespace. What a jail takes of inotify instances and namespaces the kernel
// counts against that owner, too: if all were root's, one jail could take what is
// there for all, and for the host's own daemons (T16; user_namespaces(7)). An owner
// is its own root only, who has no rights outside. The thread keeps its
// capabilities meanwhile.
func asOwner(uid int, start func() error) error {
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetUIDFixup, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities beside another user id: %w", err)
	}
	if err := setEffectiveUID(uid); err != nil {
		return err
	}
	err := start()
	return errors.Join(err, setEffectiveUID(0))
}

// setEffectiveUID changes this thread's alone: unix.Setresuid changes all.
func setEffectiveUID(uid int) error {
	const same = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		return fmt.Errorf("become user id %d for a while: %w", uid, errno)
	}
	return nil
}

func openNamespaces(pid int) (tree.Namespaces, error) {
	var ns tree.Namespaces
	for _, n := range [...]struct {
		name string
		file **os.File
	}{{"user", &ns.UserNS}, {"pid", &ns.PIDNS}, {"net", &ns.NetNS}} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, n.name))
		if err != nil {
			return ns, err
		}
		*n.file = f
	}
	return ns, nil
}

// awaitReady waits until stage 0 has done what needs the host's tree, its /proc
// above all: only then may the root go away under it.
func (f *first) awaitReady() error {
	m, _, err := receive(f.conn, time.Now().Add(goTimeout))
	switch {
	case err != nil:
		return fmt.Errorf("wait for stage 0: %w", err)
	case m.Error != "":
		return fmt.Errorf("stage 0: %s", m.Error)
	case !m.Ready:
		return errors.New("stage 0 said something else than ready")
	}
	return nil
}

// letGo waits for the supervisor's "go", passes it on, and reports what comes
// of it: stage 0 closes its socket by becoming PID 1's program.
func (f *first) letGo(conn *net.UnixConn) error {
	m, _, err := receive(conn, time.Now().Add(goTimeout))
	if err != nil {
		return fmt.Errorf("wait for go: %w", err)
	}
	if len(m.Go) == 0 {
		return errors.New("supervisor said something else than go")
	}
	if err := write(f.conn, m.Go); err != nil {
		return fmt.Errorf("pass go on: %w", err)
	}
	answer, _, err := receive(f.conn, time.Now().Add(goTimeout))
	switch {
	case err == nil && answer.Error != "":
		return fmt.Errorf("stage 0: %s", answer.Error)
	case err == nil:
		return errors.New("stage 0 said something else than an error")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("wait for stage 0: %w", err)
	}
	// A closed socket is success, unless the process is gone.
	if err := unix.PidfdSendSignal(int(f.pidfd.Fd()), 0, nil, 0); err != nil {
		return fmt.Errorf("stage 0 ended before it ran: %w", err)
	}
	return send(conn, message{Running: true})
}
