package shape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/shape/delay"
)

// Times of the delay node's life.
const (
	nodeReady  = 5 * time.Second
	nodeAnswer = 5 * time.Second
	dialTries  = 10
	dialPause  = 20 * time.Millisecond
)

// node is a delay node at the other end of a control connection.
type node struct {
	conn    *net.UnixConn
	pid     int         // its own word
	process *os.Process // nil: an earlier supervisor's child
	answers chan delay.Message
	gone    chan struct{} // closed when the connection has ended
	has     map[string]bool
}

// socketPath is where the node waits for the next supervisor.
func socketPath(runDir string) string { return filepath.Join(runDir, "delaynode.sock") }

// attach reaches a node that an earlier supervisor has started; fs.ErrNotExist
// says that there is none.
func attach(ctx context.Context, runDir string) (*node, delay.Message, error) {
	var d net.Dialer
	for try := 0; ; try++ {
		c, err := d.DialContext(ctx, "unixpacket", socketPath(runDir))
		if errors.Is(err, unix.ECONNREFUSED) {
			err = fs.ErrNotExist // the file of a dead one
		}
		if err != nil {
			return nil, delay.Message{}, fmt.Errorf("reach the delay node: %w", err)
		}
		n, m, err := begin(c.(*net.UnixConn))
		if err == nil || try == dialTries {
			return n, m, err
		}
		// It hasn't noticed yet that the other supervisor is gone.
		select {
		case <-time.After(dialPause):
		case <-ctx.Done():
			return nil, m, context.Cause(ctx)
		}
	}
}

// begin waits for the node's first word.
func begin(c *net.UnixConn) (*node, delay.Message, error) {
	n := &node{conn: c, answers: make(chan delay.Message, 1), gone: make(chan struct{}), has: map[string]bool{}}
	go n.read()
	select {
	case m, ok := <-n.answers:
		if ok && m.Op == delay.OpReady {
			n.pid = m.PID
			return n, m, nil
		}
	case <-time.After(nodeReady):
	}
	c.Close()
	<-n.gone
	return nil, delay.Message{}, errors.New("the delay node doesn't begin")
}

// read hands over answers until the connection ends.
func (n *node) read() {
	defer close(n.gone)
	defer close(n.answers)
	defer n.conn.Close()
	buf := make([]byte, delay.MaxMessage)
	for {
		size, err := n.conn.Read(buf)
		if err != nil || size == 0 {
			return
		}
		var m delay.Message
		if json.Unmarshal(buf[:size], &m) != nil {
			return
		}
		select {
		case n.answers <- m:
		case <-time.After(nodeAnswer):
			return // nobody asked for so much
		}
	}
}

// ask sends a request with copies of the files and waits for its answer. A
// node that doesn't answer is cut off, and ends.
func (n *node) ask(m delay.Message, files ...*os.File) (delay.Message, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return delay.Message{}, err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = syscall.UnixRights(fds...)
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(nodeAnswer))
	switch _, _, err := n.conn.WriteMsgUnix(data, rights, nil); {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		<-n.gone // the reader is about to see the same
		return delay.Message{}, errNodeGone
	case err != nil:
		return delay.Message{}, fmt.Errorf("tell the delay node %s: %w", m.Op, err)
	}
	select {
	case a, ok := <-n.answers:
		switch {
		case !ok:
			return a, errNodeGone
		case a.Op == delay.OpError:
			return a, fmt.Errorf("delay node refuses %s: %s", m.Op, a.Error)
		}
		return a, nil
	case <-time.After(nodeAnswer):
		n.kill()
		return delay.Message{}, fmt.Errorf("delay node doesn't answer %s: ended", m.Op)
	}
}

var errNodeGone = errors.New("the delay node is gone")

func (n *node) alive() bool {
	select {
	case <-n.gone:
		return false
	default:
		return true
	}
}

// kill ends a node that hangs. Of one that isn't our child the pid is its own
// word, so it is believed only if that process has the node's user.
func (n *node) kill() {
	defer n.conn.Close()
	if n.process != nil {
		_ = n.process.Kill()
		return
	}
	fd, err := unix.PidfdOpen(n.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.pid))
	if err != nil || !bytes.Contains(status, []byte("\nUid:\t"+strconv.Itoa(delay.User)+"\t")) {
		return
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// spawn starts a node that outlives us, with a place where the next supervisor
// reaches it. The wait function, for when nobody talks to it any more, takes it
// out of the process table, killed if it doesn't end.
func spawn(program, runDir string) (n *node, first delay.Message, wait func() error, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, first, nil, fmt.Errorf("make control socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	defer ours.Close()
	cmd := exec.Command(program)
	// The runtime keeps no cgroup's files open, to follow its limits.
	cmd.Env = []string{"GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0"}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	// Its own empty network: the sockets that it is given belong to others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, first, nil, fmt.Errorf("start delay node: %w", err)
	}
	wait = func() error {
		late := time.AfterFunc(nodeAnswer, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		return cmd.Wait()
	}
	c, err := net.FileConn(ours)
	if err == nil {
		n, first, err = begin(c.(*net.UnixConn))
	}
	if err == nil {
		n.process = cmd.Process
		err = n.giveListener(runDir)
	}
	if err != nil {
		return nil, first, nil, errors.Join(err, cmd.Process.Kill(), ignoreExit(wait()))
	}
	return n, first, wait, nil
}

// ignoreExit forgets how a process ended that we ended ourselves.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

func (n *node) giveListener(runDir string) error {
	path := socketPath(runDir)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return fmt.Errorf("bind %s: %w", path, err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	f, err := l.File()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = n.ask(delay.Message{Op: delay.OpListen}, f)
	return err
}

// links asks for all links with their counters.
func (n *node) links() (map[string]delay.Link, error) {
	all := map[string]delay.Link{}
	for after := ""; ; {
		a, err := n.ask(delay.Message{Op: delay.OpLinks, Link: &delay.Link{ID: after}})
		if err != nil {
			return nil, err
		}
		for _, l := range a.Links {
			all[l.ID] = l
			after = l.ID
		}
		if !a.More || len(a.Links) == 0 {
			return all, nil
		}
	}
}
