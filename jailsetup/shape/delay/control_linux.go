package delay

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// linksPerMessage keeps a listing below MaxMessage.
const linksPerMessage = 40

// garbageEvery is after how many messages their garbage is collected; the
// collector doesn't run by itself.
const garbageEvery = 64

// control is the supervisor's end of things.
type control struct {
	node     *node
	conn     int // -1: none
	listener int // -1: none; watched while there is no connection
	note     string
	handled  int
	buf      [MaxMessage]byte
	oob      [256]byte
}

// take begins a connection.
func (c *control) take(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("use control socket: %w", err)
	}
	if err := c.node.watch(fd, unix.EPOLLIN); err != nil {
		return err
	}
	c.conn = fd
	c.say(Message{Op: OpReady, PID: os.Getpid(), Note: c.note})
	return nil
}

// event handles what happened at the listener or the connection.
func (c *control) event(fd int) error {
	switch fd {
	case c.listener:
		return c.accept()
	case c.conn:
		return c.receive()
	}
	return nil // closed in the same turn
}

func (c *control) accept() error {
	fd, _, err := unix.Accept4(c.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return nil // it went away
	}
	if c.conn >= 0 {
		unix.Close(fd) // one supervisor at a time
		return nil
	}
	return c.take(fd)
}

// receive takes one message and answers it.
func (c *control) receive() error {
	n, oobn, flags, _, err := unix.Recvmsg(c.conn, c.buf[:], c.oob[:], unix.MSG_CMSG_CLOEXEC)
	if nothingThere(err) {
		return nil
	}
	if err != nil || n == 0 {
		return c.lost()
	}
	fds := descriptors(c.oob[:oobn])
	var m Message
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("message too long")
	} else {
		err = json.Unmarshal(c.buf[:n], &m)
	}
	answer := Message{Op: OpOK}
	if err == nil {
		answer, fds, err = c.do(m, fds)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	if err != nil {
		answer = Message{Op: OpError, Error: err.Error()}
	}
	c.say(answer)
	if c.handled++; c.handled%garbageEvery == 0 {
		runtime.GC()
	}
	return nil
}

// do carries a request out; what of fds it didn't take over it gives back.
func (c *control) do(m Message, fds []int) (Message, []int, error) {
	ok := Message{Op: OpOK}
	switch {
	case m.Op == OpLinks:
		after := ""
		if m.Link != nil {
			after = m.Link.ID
		}
		list, more := c.node.listed(after, linksPerMessage)
		return Message{Op: OpLinks, Links: list, More: more}, fds, nil
	case m.Op == OpExit:
		c.node.ended = true
		return ok, fds, nil
	case m.Op == OpListen && len(fds) == 1:
		return ok, nil, c.listen(fds[0])
	case m.Link == nil:
	case m.Op == OpAdd && len(fds) == 2:
		return ok, nil, c.node.add(*m.Link, fds[0], fds[1])
	case m.Op == OpChange:
		return ok, fds, c.node.change(*m.Link)
	case m.Op == OpRemove:
		c.node.remove(m.Link.ID)
		return ok, fds, nil
	}
	return ok, fds, fmt.Errorf("%q with %d descriptors: not understood", m.Op, len(fds))
}

// listen replaces the listener.
func (c *control) listen(fd int) error {
	if c.listener >= 0 {
		unix.Close(c.listener)
	}
	c.listener = -1
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("use listener: %w", err)
	}
	c.listener = fd
	return c.node.watch(fd, unix.EPOLLIN)
}

// lost is the end of a supervisor. With links, and a place for the next one to
// come to, the node goes on.
func (c *control) lost() error {
	unix.Close(c.conn)
	c.conn = -1
	if c.listener < 0 || len(c.node.links) == 0 {
		c.node.ended = true
	}
	return nil
}

// say answers. A supervisor that doesn't read loses the answer; it has a
// deadline of its own.
func (c *control) say(m Message) {
	data, err := json.Marshal(m)
	if err != nil {
		return
	}
	_ = unix.Sendmsg(c.conn, data, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func descriptors(oob []byte) []int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range msgs {
		if some, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, some...)
		}
	}
	return fds
}
