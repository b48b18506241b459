package tlsdial

import (
	"crypto/tls"
	"io"
	"net"
)

// A conn tells a server that took its leave (close_notify, io.EOF) from one
// that was just gone (io.ErrUnexpectedEOF). crypto/tls reports io.EOF for both
// when the connection ends between two records; without the difference a cut
// connection would look like a short answer.
type conn struct {
	*tls.Conn
	raw *watched
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.raw.ended {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// watched remembers whether the end of the connection was read. The TLS layer
// reads no further than a close_notify, so then it wasn't.
type watched struct {
	net.Conn
	ended bool // only used by the reading goroutine
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err == io.EOF {
		w.ended = true
	}
	return n, err
}
