package session

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/reap"
)

// Exit codes of a command that didn't start, as shells have them.
const (
	codeTrouble  = 125
	codeCannot   = 126
	codeNotFound = 127
)

// process is a started command and our ends of its channels.
type process struct {
	*reap.Child
	stdin  *os.File
	stdout *os.File // everything that it writes, when there is a terminal
	stderr *os.File // nil when there is a terminal
	tty    bool
}

// closeAll closes our ends; on a terminal that hangs up.
func (p *process) closeAll() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			f.Close() // a second close of the terminal is harmless
		}
	}
}

// start makes the channels, becomes the user and executes the command.
func (c *Client) start(s console.Start) (*process, console.Exit) {
	fs := readFiles(c.Root)
	u, err := fs.lookup(s.User)
	if err != nil {
		return nil, console.Exit{Code: codeTrouble, Error: err.Error()}
	}
	cmd := plan(s, u, executable)
	if cmd.path == "" || cmd.path == cmd.argv[0] && !strings.Contains(cmd.path, "/") {
		return nil, console.Exit{Code: codeNotFound, Error: fmt.Sprintf("%s: command not found", cmd.argv[0])}
	}
	p, inner, err := channels(s, u, fs)
	if err != nil {
		return nil, console.Exit{Code: codeTrouble, Error: err.Error()}
	}
	p.Child, err = c.become(cmd, u, p.tty, inner, s.Dir == "")
	closeFiles(inner)
	if err != nil {
		p.closeAll()
		var cause syscall.Errno
		if errors.As(err, &cause) {
			err = cause // what it was tried with is said once
		}
		return nil, console.Exit{Code: exitCode(err), Error: fmt.Sprintf("run %s in %s as %s: %v", cmd.argv[0], cmd.dir, u.Name, err)}
	}
	return p, console.Exit{}
}

func exitCode(err error) int {
	if errors.Is(err, syscall.ENOENT) {
		return codeNotFound
	}
	return codeCannot
}

// become starts the command as u. A home that can't be entered becomes /, as
// with su, when the host didn't name the directory itself.
func (c *Client) become(cmd command, u user, tty bool, inner []*os.File, anywhere bool) (*reap.Child, error) {
	p := reap.Process{Path: cmd.path, Argv: cmd.argv, Env: cmd.env, Dir: cmd.dir}
	for _, f := range inner {
		p.Files = append(p.Files, f.Fd())
	}
	p.Sys = syscall.SysProcAttr{
		Setsid: true, Setctty: tty, Ctty: 0,
		Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups},
	}
	child, err := c.Reaper.Start(p)
	if err != nil && anywhere && cmd.dir != "/" {
		p.Dir = "/"
		return c.Reaper.Start(p)
	}
	return child, err
}

// channels makes a terminal or three pipes; inner are the command's 0, 1, 2.
func channels(s console.Start, u user, fs files) (*process, []*os.File, error) {
	if s.TTY {
		return terminal(s, u, fs)
	}
	var outer, inner []*os.File
	for i := range 3 {
		var ends [2]int // to read from, to write to
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			closeFiles(append(outer, inner...))
			return nil, nil, fmt.Errorf("pipe: %w", err)
		}
		if i == 0 {
			ends[0], ends[1] = ends[1], ends[0]
		}
		err := unix.SetNonblock(ends[0], true) // ours only: the command's end blocks
		outer = append(outer, os.NewFile(uintptr(ends[0]), "pipe"))
		inner = append(inner, os.NewFile(uintptr(ends[1]), "pipe"))
		if err != nil {
			closeFiles(append(outer, inner...))
			return nil, nil, fmt.Errorf("pipe: %w", err)
		}
	}
	return &process{stdin: outer[0], stdout: outer[1], stderr: outer[2]}, inner, nil
}

func closeFiles(fs []*os.File) {
	for _, f := range fs {
		f.Close()
	}
}

// ttyGroup is Debian's number of group tty.
const ttyGroup = 5

// terminal opens a pty of the jail. The inner end comes from the outer one by
// TIOCGPTPEER: no path is looked up that jail root could have replaced.
func terminal(s console.Start, u user, fs files) (*process, []*os.File, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	outer := os.NewFile(uintptr(fd), "/dev/ptmx")
	inner, err := peer(fd, s, u, fs)
	if err != nil {
		outer.Close()
		return nil, nil, err
	}
	return &process{stdin: outer, stdout: outer, tty: true}, []*os.File{inner, inner, inner}, nil
}

func peer(fd int, s console.Start, u user, fs files) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock pty: %w", err)
	}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, fmt.Errorf("open the inner end of a pty: %w", errno)
	}
	f := os.NewFile(n, "pty")
	err := resize(fd, console.Winch{Rows: s.Rows, Cols: s.Cols})
	if err == nil {
		err = f.Chown(int(u.UID), int(fs.groupID("tty", ttyGroup)))
	}
	if err == nil {
		err = f.Chmod(0o620)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("prepare pty: %w", err)
	}
	return f, nil
}

// resize sets the size of a terminal; nothing given leaves it as it is.
func resize(fd int, w console.Winch) error {
	if w.Rows == 0 && w.Cols == 0 {
		return nil
	}
	return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: w.Rows, Col: w.Cols})
}
