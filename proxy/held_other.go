//go:build unix && !linux

package proxy

import (
	"errors"
	"io"
	"net"
)

// held reads as usual: outside Linux a close with unread bytes tells the other
// side nothing. There a failure shows as an early end.
type held struct {
	conn net.Conn
	buf  []byte
	eof  bool
}

func hold(conn net.Conn) (held, error) { return held{conn: conn}, nil }

func (h *held) first(patience func() error) error {
	if err := patience(); err != nil {
		return err
	}
	h.buf = make([]byte, 1, 4096)
	_, err := io.ReadFull(h.conn, h.buf)
	if errors.Is(err, io.EOF) {
		return errEmpty
	}
	return err
}

func (h *held) more(patience func() error) error {
	if err := patience(); err != nil {
		return err
	}
	if len(h.buf) == cap(h.buf) {
		h.buf = append(h.buf, 0)[:len(h.buf)]
	}
	n, err := h.conn.Read(h.buf[len(h.buf):min(cap(h.buf), maxRaw+1)])
	h.buf = h.buf[:len(h.buf)+n]
	if errors.Is(err, io.EOF) {
		h.eof = true
		return nil
	}
	return err
}

func (h *held) data() []byte { return h.buf }
func (h *held) ended() bool  { return h.eof }
func (h *held) finish()      {}
func (h *held) release()     { h.buf = nil }

// sendNow leaves all to a write with time to wait.
func sendNow(net.Conn, []byte) int { return 0 }
