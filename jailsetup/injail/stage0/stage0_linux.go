package stage0

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fewThreads is added to the environment of what stage 0 executes: one
// processor is plenty for PID 1 and saves 100 KiB a jail (spec/linux.md §12).
const fewThreads = "GOMAXPROCS=1"

// Main is the command "injail stage0 [-max-user-ns N]". It returns only when
// something went wrong; the status is then 1, or 2 for a wrong command line.
//
// -max-user-ns bounds the number of user namespaces that the jail may nest.
// It is written before anything else, because later /proc/sys is read-only.
func Main(args []string) int {
	runtime.LockOSThread() // which of the threads doesn't matter: exec makes it the only one
	limit, err := parseArgs(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "injail stage0: %v\nusage: injail stage0 [-max-user-ns N]\n", err)
		return 2
	}
	report(run(limit))
	return 1
}

// parseArgs returns the limit of nested user namespaces, -1 for none given.
func parseArgs(args []string) (int, error) {
	switch {
	case len(args) == 0:
		return -1, nil
	case len(args) == 2 && args[0] == "-max-user-ns":
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 {
			return 0, fmt.Errorf("-max-user-ns %q: want a number from 0", args[1])
		}
		return n, nil
	}
	return 0, fmt.Errorf("unknown arguments %q", args)
}

// run goes from the first wait to the exec, and returns why it didn't get
// there. The order is the point: each line
// says why it stands where it does.
func run(limit int) error {
	if limit >= 0 { // while the host's /proc is still there and writable
		if err := limitUserNamespaces(limit); err != nil {
			return err
		}
	}
	if err := sayReady(); err != nil {
		return err
	}
	m, err := receive()
	if err != nil {
		return err
	}
	if err := joinKeyring(); err != nil {
		return err
	}
	if err := ownNamespaces(); err != nil { // after the pivot, so that this copy locks the finished tree
		return err
	}
	if err := cleanProcess(); err != nil {
		return err
	}
	if err := limitCores(); err != nil { // before the filter, which ignores it
		return err
	}
	if err := dropBounding(m.Bounding); err != nil {
		return err
	}
	if err := loadFilter(Filter(m.Seccomp)); err != nil { // needs CAP_SYS_ADMIN, which only exec takes away
		return err
	}
	return execute(m)
}

// limitUserNamespaces writes this user namespace's own copy of the limit.
func limitUserNamespaces(n int) error {
	const name = "/proc/sys/user/max_user_namespaces"
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.PROC_SUPER_MAGIC {
		return errors.Join(fmt.Errorf("%s is not in a proc file system", name), err)
	}
	if _, err := unix.Write(fd, strconv.AppendInt(nil, int64(n), 10)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// sayReady tells the spawner that the host's tree isn't needed any more: the
// root may be pivoted from now on.
func sayReady() error {
	b, err := json.Marshal(Ready{Ready: true})
	if err != nil {
		return err
	}
	if _, err := unix.Write(FD, b); err != nil {
		return fmt.Errorf("say ready on descriptor %d: %w", FD, err)
	}
	return nil
}

// receive waits, without a deadline, for the spawner's one message. A spawner
// that dies closes the socket, which ends the wait.
func receive() (Message, error) {
	b := make([]byte, MaxMessage)
	for {
		n, _, flags, _, err := unix.Recvmsg(FD, b, nil, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return Message{}, fmt.Errorf("receive message on descriptor %d: %w", FD, err)
		case n == 0:
			return Message{}, errors.New("spawner went away before it said go")
		case flags&unix.MSG_TRUNC != 0:
			return Message{}, fmt.Errorf("message longer than %d bytes", MaxMessage)
		}
		return ParseMessage(b[:n])
	}
}

// joinKeyring leaves the caller's session keyring for a new, nameless one: a
// key in it could be read by jail root (T6). A kernel without keys is fine.
// A null name is the point; an empty one would join a keyring of that name.
func joinKeyring() error {
	_, _, errno := unix.RawSyscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
	if errno != 0 && errno != unix.ENOSYS {
		return fmt.Errorf("join a new session keyring: %w", errno)
	}
	return nil
}

// ownNamespaces copies the mount tree into a namespace that the jail's user
// namespace owns, which locks every mount in it, and makes the cgroups that
// the spawner chose the roots of what the jail sees.
func ownNamespaces() error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("unshare mount and cgroup namespaces: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("chdir /: %w", err)
	}
	return nil
}

// cleanProcess drops what the spawner's caller may have left: session and
// terminal, umask, blocked signals, inheritable and ambient capabilities.
func cleanProcess() error {
	if _, err := unix.Setsid(); err != nil && err != unix.EPERM { // EPERM: leads one already
		return fmt.Errorf("setsid: %w", err)
	}
	unix.Umask(0o022)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return fmt.Errorf("unblock signals: %w", err)
	}
	if err := defaultLibcSignals(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	return clearInheritable()
}

// defaultLibcSignals undoes what a C library's posix_spawn leaves to its
// children (make's, for one): its two internal signals ignored, which Go's
// runtime never touches. The rest Go sets to default at exec.
func defaultLibcSignals() error {
	const sigCancel, sigSetXID = 32, 33
	action := make([]byte, 64) // a struct sigaction of zeros: SIG_DFL, no flags
	for _, n := range [...]uintptr{sigCancel, sigSetXID} {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&action[0])), 0, 8, 0, 0)
		if errno != 0 {
			return fmt.Errorf("set signal %d to default: %w", n, errno)
		}
	}
	return nil
}

func clearInheritable() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("clear inheritable capabilities: %w", err)
	}
	return nil
}

// dropBounding takes capabilities out of the bounding set of this thread. One
// that this kernel doesn't know can't be had either.
func dropBounding(caps []int) error {
	for _, c := range caps {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	return nil
}

// execute marks every descriptor but the first three, FD included, and
// becomes the program. Whatever leaked from the spawner's caller stays behind
// (T1).
func execute(m Message) error {
	if err := unix.CloseRange(FD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("mark descriptors close-on-exec: %w", err)
	}
	env := m.Env
	if !slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "GOMAXPROCS=") }) {
		env = append(slices.Clone(env), fewThreads)
	}
	return fmt.Errorf("exec %s: %w", path.Clean(m.Argv[0]), syscall.Exec(m.Argv[0], m.Argv, env))
}

// report tells the spawner what went wrong; nobody is there to hear that
// telling failed.
func report(err error) {
	b, merr := json.Marshal(Failure{Error: err.Error()})
	if merr != nil {
		return
	}
	if _, err := unix.Write(FD, b); err != nil {
		fmt.Fprintln(os.Stderr, "injail stage0:", string(b))
	}
}
