package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxFiles is how many descriptors a message carries at most: pidfd, user,
// pid and net namespace.
const maxFiles = 4

// pair makes a connected pair of packet sockets: one for this process, one to
// hand to a child.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	ours, err := asConn(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// asConn takes over f, a packet socket.
func asConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no unix socket", f.Name()), c.Close())
	}
	return u, nil
}

func send(c *net.UnixConn, m message, files ...*os.File) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return write(c, data, files...)
}

// write sends one message, which fits into the socket's buffer: one that is
// full has nobody who reads.
func write(c *net.UnixConn, data []byte, files ...*os.File) error {
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	if err := c.SetWriteDeadline(time.Now().Add(sayTimeout)); err != nil {
		return err
	}
	_, _, err := c.WriteMsgUnix(data, rights, nil)
	return err
}

// receive reads one message and the descriptors with it, by the deadline. The
// other side's end is io.EOF.
func receive(c *net.UnixConn, deadline time.Time) (message, []*os.File, error) {
	var m message
	if err := c.SetReadDeadline(deadline); err != nil {
		return m, nil, err
	}
	buf, oob := make([]byte, maxMessageBytes), make([]byte, unix.CmsgSpace(maxFiles*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if errors.Is(err, unix.ECONNRESET) {
		// The other side went without reading what we had sent; the kernel tells
		// that once, before the other side's last words.
		n, oobn, flags, _, err = c.ReadMsgUnix(buf, oob)
	}
	if err != nil {
		return m, nil, err
	}
	files, err := takeFiles(oob[:oobn])
	if err != nil {
		return m, nil, err
	}
	switch {
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = errors.New("message too long")
	case n == 0:
		err = io.EOF
	default:
		err = json.Unmarshal(buf[:n], &m)
	}
	if err != nil {
		closeAll(files)
		return message{}, nil, err
	}
	return m, files, nil
}

func takeFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // another kind of control message
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
