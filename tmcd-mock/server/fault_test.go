package server

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/tmcd-mock/fault"
)

// T38: each kind of trouble, seen from outside.
func TestT38FaultsTCP(t *testing.T) {
	const answer = "127.0.0.1 tcp\n"
	for _, row := range []struct {
		rule  string
		want  string // answer
		reset bool
		least time.Duration
	}{
		{"down", "", true, 0},
		{"refuse", "", false, 0},
		{"hang delay=300ms", "", false, 300 * time.Millisecond},
		{"redirect to=192.0.2.9:pcvm1-2", "REDIRECT=192.0.2.9:pcvm1-2\n", false, 0},
		{"loop", "REDIRECT=127.0.0.1\n", false, 0},
		{"delay delay=300ms", answer, false, 300 * time.Millisecond},
		{"latency delay=300ms", answer, false, 300 * time.Millisecond},
		{"reset bytes=4", "", true, 0},
		{"cut bytes=4", "127.", false, 0},
		{"cut bytes=0", "", false, 0},
		{"empty", "", false, 0},
		{"half-close", answer, false, 0},
		{"slow-close delay=300ms", answer, false, 300 * time.Millisecond},
		{"drip rate=40", answer, false, 300 * time.Millisecond},
		{"slice bytes=5 delay=150ms", answer, false, 300 * time.Millisecond},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := start(t, func(o *Options) { o.Faults = rules(t, row.rule) })
			begun := time.Now()
			got, err := visit(s, "127.0.0.1", "VERSION=40 nodeid ")
			if row.reset != isReset(err) || !row.reset && err != nil {
				t.Errorf("the answer ends with %v; a reset is wanted: %v", err, row.reset)
			}
			if !row.reset && string(got) != row.want {
				t.Errorf("answer %q, want %q", got, row.want)
			}
			if took := time.Since(begun); took < row.least {
				t.Errorf("took %v, want %v at least", took, row.least)
			}
			kind, _, _ := strings.Cut(row.rule, " ")
			if e := event(t, s, 1); kind != "latency" && e.Fault != kind {
				t.Errorf("the journal says fault %q, want %q", e.Fault, kind)
			}
		})
	}
}

// visit is ask for a server that may be down: the reset can come as early as in connect.
func visit(s *Server, from, request string) ([]byte, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return nil, err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, syscall.ECONNRESET // the socket is no longer connected
	}
	return io.ReadAll(c)
}

func TestGarbageIsTheSameForTheSameSeed(t *testing.T) {
	var seen []string
	for range 2 {
		s := start(t, func(o *Options) { o.Faults = rules(t, "garbage bytes=100 next=2") })
		first, second := ask(t, s, "VERSION=40 nodeid "), ask(t, s, "VERSION=40 nodeid ")
		if len(first) != 100 || first == second {
			t.Errorf("garbage of %d bytes, want 100, different each time", len(first))
		}
		if got := ask(t, s, "VERSION=40 nodeid "); got != "127.0.0.1 tcp\n" {
			t.Errorf("after the next 2: %q", got)
		}
		seen = append(seen, first+second)
	}
	if seen[0] != seen[1] {
		t.Error("two servers with one seed sent different garbage")
	}
}

func TestT38FaultsUDP(t *testing.T) {
	for _, row := range []struct{ rule, want string }{
		{"down", ""}, {"refuse", ""}, {"hang", ""}, {"reset", ""}, {"empty", ""},
		{"redirect to=192.0.2.9", "REDIRECT=192.0.2.9\n"},
		{"loop", "REDIRECT=127.0.0.1\n"},
		{"cut bytes=3", "127"},
		{"delay delay=50ms", "127.0.0.1 udp\n"},
		{"drip rate=1000", "127.0.0.1 udp\n"},
		{"slice bytes=1 delay=1ms", "127.0.0.1 udp\n"},
		{"slow-close delay=1ms", "127.0.0.1 udp\n"},
		{"half-close", "127.0.0.1 udp\n"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := start(t, func(o *Options) { o.Faults = rules(t, row.rule+" transport=udp") })
			c, err := net.Dial("udp", s.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			write(t, c, "VERSION=40 nodeid ")
			wait := 10 * time.Second
			if row.want == "" {
				wait = 200 * time.Millisecond
			}
			if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 1000)
			n, _ := c.Read(buf)
			if string(buf[:n]) != row.want {
				t.Errorf("datagram %q, want %q", buf[:n], row.want)
			}
		})
	}
}

func rules(t testing.TB, specs ...string) *fault.Set {
	t.Helper()
	set := fault.NewSet(1)
	for _, spec := range specs {
		r, err := fault.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		set.Add(r)
	}
	return set
}
