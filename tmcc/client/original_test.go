package client

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"emujail/protocol"
)

// original reads as Emulab's tmcd does (spec §1): 17 bytes, then what is there
// already; in that chunk alone it looks for tags and command. Then it reads on
// to the end, answers, and closes with whatever is left unread.
func original(c net.Conn) string {
	chunk := make([]byte, protocol.MaxRequest)
	n, _ := io.ReadFull(c, chunk[:len(protocol.TLSTag)])
	if n == len(protocol.TLSTag) {
		m, _ := c.Read(chunk[n : protocol.MaxRequest-1])
		n += m
	}
	if _, err := protocol.ParseRequest(chunk[:n]); err != nil {
		return "INVALID REQUEST " + string(chunk[:n])
	}
	rest, _ := io.ReadAll(io.LimitReader(c, int64(protocol.MaxRequest-n)))
	io.WriteString(c, "ok\n")
	return string(chunk[:n]) + string(rest)
}

// A head in one piece, an end that is shut down, no byte too many: the original
// understands, and its reply isn't lost in a reset.
func TestOriginal(t *testing.T) {
	for name, row := range map[string]struct {
		words []string
		data  int
	}{
		"shorter than the tag": {[]string{"state", "UP"}, 0},
		"a word":               {[]string{"status"}, 0},
		"several":              {[]string{"rusage", "LA1=0.1", "LA5=0.2", "LA15=0.3", "DUSED=5"}, 0},
		"a boot log":           {[]string{"bootlog"}, 20000},
		"all that fits":        {[]string{"bootlog"}, protocol.MaxRequest - len("VERSION=40 bootlog ")},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, "tcp", "127.0.0.1:0", original)
			c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
			req := Words(protocol.Request{Version: 40}, row.words, bytes.Repeat([]byte("x"), row.data))
			got, err := c.Do(within(t), req)
			if err != nil || string(got) != "ok\n" {
				t.Errorf("Do = %q, %v", got, err)
			}
			want := "VERSION=40 " + strings.Join(row.words, " ") + " " + strings.Repeat("x", row.data)
			if reqs := p.requests(); len(reqs) != 1 || reqs[0] != want {
				t.Errorf("tmcd saw %.80q", reqs)
			}
		})
	}
}
