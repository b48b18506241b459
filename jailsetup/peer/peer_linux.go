// Package peer takes in connections on a unix socket, each with the process and
// the user that made it.
//
//	peer.Serve(ctx, listener, complain, func(c peer.Conn) {
//		if c.PID != pid1 {
//			c.Close()
//			return
//		}
//		…
//	})
//
// The kernel noted both when the other end connected (SO_PEERCRED), in numbers
// of our own namespaces: what the other end does later changes nothing. A pid is
// worth something only against a process that is known to live, since another
// may get the number. For sockets that a jail can reach: whoever must not come
// in is the caller's to close; the proxy has its own, which looks closer.
package peer

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Pauses after an accept that failed in passing, too many open files for one:
// each twice the one before.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Conn is a connection and who made it.
type Conn struct {
	*net.UnixConn
	PID int
	UID uint32 // as the host numbers users
}

// Serve gives connections to take, one after the other, until the listener is
// closed. One whose maker can't be told is closed. An accept that fails is told
// to failed and tried again after a pause, unless ctx ends meanwhile: whoever
// closes the listener ends ctx too.
func Serve(ctx context.Context, l *net.UnixListener, failed func(error), take func(Conn)) {
	pause := shortestPause
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			failed(err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = shortestPause
		cred, err := credentials(c)
		if err != nil {
			c.Close()
			continue
		}
		take(Conn{c, int(cred.Pid), cred.Uid})
	}
}

func credentials(c *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var got error
	err = raw.Control(func(fd uintptr) { // inside, so that fd can't be another's meanwhile
		cred, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, got)
}
