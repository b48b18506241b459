package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrTooBig marks a message that doesn't fit into one packet, or carries too
// many descriptors; nothing was sent.
var ErrTooBig = errors.New("control message too big")

// sendTimeout bounds a Send to a peer that doesn't read.
const sendTimeout = 10 * time.Second

// A Conn is one end of the control connection. Send and Receive may be called
// at the same time, by one goroutine each or many.
type Conn struct {
	sock *net.UnixConn

	sending   sync.Mutex
	receiving sync.Mutex
	buf       []byte // one message, one byte more to notice a longer one
	oob       []byte
}

// NewConn makes a Conn of a SOCK_SEQPACKET descriptor, which it takes over.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close() // net.FileConn has its own copy
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use %s as control socket: %w", f.Name(), err)
	}
	sock, ok := c.(*net.UnixConn)
	if !ok || sock.LocalAddr().Network() != "unixpacket" {
		return nil, errors.Join(fmt.Errorf("descriptor is a %s socket, no SOCK_SEQPACKET unix one", c.LocalAddr().Network()), c.Close())
	}
	return wrap(sock), nil
}

func wrap(sock *net.UnixConn) *Conn {
	return &Conn{
		sock: sock,
		buf:  make([]byte, MaxMessage+1),
		oob:  make([]byte, syscall.CmsgSpace(4*MaxFiles)),
	}
}

// Pair makes a connection within this process: one end to use, the other as a
// file for a child (exec.Cmd.ExtraFiles), which the caller closes after start.
func Pair() (*Conn, *os.File, error) {
	syscall.ForkLock.RLock() // no child may inherit what isn't close-on-exec yet
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	conn, err := NewConn(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// Dial connects to the socket that an earlier supervisor gave to the proxy with
// OpControl.
func Dial(ctx context.Context, path string) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixpacket", path)
	if err != nil {
		return nil, fmt.Errorf("reach the proxy: %w", err)
	}
	return wrap(c.(*net.UnixConn)), nil
}

// Accept waits at a socket of OpControl for the next supervisor.
func Accept(ln *net.UnixListener) (*Conn, error) {
	sock, err := ln.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return wrap(sock), nil
}

// Socket is the connection itself, for a look at who is at the other end.
func (c *Conn) Socket() *net.UnixConn { return c.sock }

// Send sends m with copies of files, which stay the caller's to close. A peer
// that doesn't read for 10 s is an error.
func (c *Conn) Send(m Message, files ...*os.File) error {
	if len(files) > MaxFiles {
		return fmt.Errorf("send %q: %w: %d descriptors, at most %d", m.Op, ErrTooBig, len(files), MaxFiles)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("send %q: %w", m.Op, err)
	}
	if len(data) > MaxMessage {
		return fmt.Errorf("send %q: %w: %d bytes, at most %d", m.Op, ErrTooBig, len(data), MaxMessage)
	}
	rights, err := rightsOf(files)
	if err != nil {
		return fmt.Errorf("send %q: %w", m.Op, err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.sock.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("send %q: %w", m.Op, err)
	}
	if _, _, err := c.sock.WriteMsgUnix(data, rights, nil); err != nil {
		return fmt.Errorf("send %q: %w", m.Op, err)
	}
	runtime.KeepAlive(files) // the numbers in rights are theirs
	return nil
}

// rightsOf renders the descriptors of files. Not by File.Fd: that makes the
// socket blocking, for every process that shares it.
func rightsOf(files []*os.File) ([]byte, error) {
	if len(files) == 0 {
		return nil, nil
	}
	fds := make([]int, 0, len(files))
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return syscall.UnixRights(fds...), nil
}

// Receive waits for the next message until ctx ends. The files are the
// caller's to close. io.EOF says that the other side is gone. A message that is
// malformed, too long, or whose descriptors were cut off is an error, its files
// are closed, and the connection stays usable.
func (c *Conn) Receive(ctx context.Context) (Message, []*os.File, error) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	if err := c.sock.SetReadDeadline(time.Time{}); err != nil {
		return Message{}, nil, fmt.Errorf("receive: %w", err)
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = c.sock.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-ended // else it may end the next Receive
		}
	}()

	n, oobn, flags, _, err := c.sock.ReadMsgUnix(c.buf, c.oob)
	if ctx.Err() != nil && err != nil {
		return Message{}, nil, context.Cause(ctx)
	}
	if err != nil {
		return Message{}, nil, fmt.Errorf("receive: %w", err)
	}
	files, err := filesOf(c.oob[:oobn])
	if err != nil {
		return Message{}, nil, err
	}
	if n == 0 { // an empty packet is never sent: this is the end
		return Message{}, nil, errors.Join(io.EOF, CloseFiles(files))
	}
	m, err := decode(c.buf[:n], flags)
	if err != nil {
		return Message{}, nil, errors.Join(err, CloseFiles(files))
	}
	return m, files, nil
}

func decode(data []byte, flags int) (Message, error) {
	if flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 || len(data) > MaxMessage {
		return Message{}, fmt.Errorf("receive: %w", ErrTooBig)
	}
	var m Message
	if err := json.Unmarshal(data, &m); err != nil {
		return Message{}, fmt.Errorf("receive: %w", err)
	}
	if m.Op == "" {
		return Message{}, errors.New("receive: message without op")
	}
	return m, nil
}

func filesOf(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cmsgs, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive descriptors: %w", err)
	}
	var files []*os.File
	for i := range cmsgs {
		fds, err := syscall.ParseUnixRights(&cmsgs[i])
		if err != nil {
			continue // not SCM_RIGHTS
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// CloseFiles closes all of files and joins what went wrong.
func CloseFiles(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Close ends the connection; the other side receives io.EOF.
func (c *Conn) Close() error { return c.sock.Close() }
