package proxy

import (
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// two jails, hostile and honest, at one proxy process.
func twoJails(t *testing.T, tmcd *fakeTmcd) (s *supervisor, hostile, honest string) {
	t.Helper()
	s, dir := supervise(t, "free", nil), t.TempDir()
	s.useTmcd(tmcd)
	hostile, one := socket(t, dir, "pcvm1-1")
	honest, two := socket(t, dir, "pcvm1-2")
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{{VNode: "pcvm1-1"}, {VNode: "pcvm1-2"}}}, one, two)
	return s, hostile, honest
}

// latency asks n times in the honest jail and returns median and 99th percentile.
func latency(t *testing.T, path string, n int) (p50, p99 time.Duration) {
	t.Helper()
	var took []time.Duration
	for range n {
		start := time.Now()
		if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-2 ") {
			t.Fatalf("the honest jail: %q, %v", reply, err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}

// T31 of docs/spec/peers.md: whatever 200 and more clients of one jail do, the
// other jail is served.
func TestT31OneJailsFloodIsItsOwn(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	tmcd := startTmcd(t, func(c net.Conn, _ []byte, r protocol.Request) {
		if r.Command == "fullconfig" {
			io.WriteString(c, big)
			return
		}
		c.Write(understood(r))
	})
	for _, row := range []struct {
		name string
		do   func(c net.Conn, stop chan struct{})
	}{
		{"silent", func(c net.Conn, stop chan struct{}) { <-stop }},
		{"dripping", func(c net.Conn, stop chan struct{}) {
			for _, b := range []byte("VERSION=40 bootlog xxxxxxxxxxxxx") {
				c.Write([]byte{b})
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}},
		{"never reading a long answer", func(c net.Conn, stop chan struct{}) {
			io.WriteString(c, "fullconfig ")
			c.(*net.UnixConn).CloseWrite()
			<-stop
		}},
		{"asking for ever", func(c net.Conn, stop chan struct{}) {
			io.WriteString(c, "status ")
			c.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, c)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, hostile, honest := twoJails(t, tmcd)
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 300 {
				all.Go(func() {
					for {
						c, err := net.Dial("unix", hostile)
						if err == nil {
							row.do(c, stop)
							c.Close()
						}
						select {
						case <-stop:
							return
						case <-time.After(10 * time.Millisecond):
						}
					}
				})
			}
			eventually(t, "the flood is there", func() bool {
				s.conn.Send(control.Message{Op: control.OpCounters})
				for _, c := range s.next().Counters {
					if c.VNode == "pcvm1-1" {
						return c.Connections >= 256
					}
				}
				return false
			})
			p50, p99 := latency(t, honest, 200)
			close(stop)
			all.Wait()
			t.Logf("the honest jail: p50 %v, p99 %v", p50, p99)
			if p99 > time.Second {
				t.Errorf("p99 of the honest jail is %v", p99)
			}
			s.conn.Send(control.Message{Op: control.OpCounters})
			for _, c := range s.next().Counters {
				if c.Open > 256 || c.Active > 32 {
					t.Errorf("over the limits: %+v", c)
				}
			}
		})
	}
}

// A silent connection gives way to a newer one; one that has spoken stays.
func TestSilentConnectionsGiveWay(t *testing.T) {
	o := Options{
		Tmcd: Tmcd{Servers: servers(startTmcd(t, nil))}, Limits: Limits{Connections: 3},
		Path: filepath.Join(t.TempDir(), "tmcc"), VNode: "pcvm1-1",
	}
	counts := serveCounted(t, o).jail(o.VNode).counters
	speaking := dial(t, o.Path)
	defer speaking.Close()
	io.WriteString(speaking, "VERSION=40 sta")
	eventually(t, "it is heard", func() bool { return counts().Active == 1 })
	var silent []*net.UnixConn
	for i := range 5 {
		c := dial(t, o.Path)
		defer c.Close()
		silent = append(silent, c)
		eventually(t, "it has a place", func() bool { // in this order
			n := counts()
			return n.Connections == uint64(2+i) && n.Evicted == uint64(max(0, i-1))
		})
	}
	for i, c := range silent[:3] {
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("silent connection %d: %v, want closed", i, err)
		}
	}
	io.WriteString(speaking, "tus ")
	speaking.CloseWrite()
	if reply, err := io.ReadAll(speaking); err != nil || !strings.Contains(string(reply), "as=pcvm1-1 ") {
		t.Errorf("who spoke first: %q, %v", reply, err)
	}
}

func TestRateIsLimitedByWaiting(t *testing.T) {
	o := Options{
		Tmcd: Tmcd{Servers: servers(startTmcd(t, nil))}, Limits: Limits{Rate: 20, Burst: 5},
		Deadlines: Deadlines{Turn: 200 * time.Millisecond},
		Path:      filepath.Join(t.TempDir(), "tmcc"), VNode: "pcvm1-1",
	}
	s := serveCounted(t, o)
	start := time.Now()
	for range 7 {
		if _, err := ask(t, o.Path, "status "); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("7 requests took %v: two had to wait 50 ms each", took)
	}
	refused, end := askAtOnce(t, s, o.Path, 20)
	most := 5 + 20*(end.Sub(start)+200*time.Millisecond).Seconds()
	if float64(7+20-refused) > most {
		t.Errorf("%d of 20 were refused; %.1f may be served, with the seven before", refused, most)
	}
}

// askAtOnce has pcvm1-1 ask n times at once, and says how many were refused and
// when all had been told their turn, or that there is none: on a machine with
// other work that is later than they were sent.
func askAtOnce(t *testing.T, s *server, path string, n int) (refused int64, told time.Time) {
	t.Helper()
	j := s.jail("pcvm1-1")
	heard := func() int64 {
		c := j.counters() // first: who ends meanwhile isn't counted twice
		return int64(c.OK+c.Refused+c.Errors) + j.counts.active.Load()
	}
	want := heard() + int64(n)
	var count atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := ask(t, path, "status "); isReset(err) {
				count.Add(1)
			}
		})
	}
	eventually(t, "all are heard", func() bool { return heard() == want })
	told = time.Now()
	all.Wait()
	return count.Load(), told
}

// A caller that doesn't take its answer holds no place at tmcd.
func TestSlowCallerGivesItsPlaceAtTmcdAway(t *testing.T) {
	big := strings.Repeat("x", 4<<20)
	tmcd := startTmcd(t, func(c net.Conn, _ []byte, r protocol.Request) {
		if r.Command == "fullconfig" {
			io.WriteString(c, big)
			return
		}
		c.Write(understood(r))
	})
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Limits: Limits{Pool: 1}})
	slow := dial(t, path)
	defer slow.Close()
	io.WriteString(slow, "fullconfig ")
	slow.CloseWrite()
	slow.Read(make([]byte, 1)) // it has begun
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Errorf("%q, %v", reply, err)
	}
	if n, err := io.Copy(io.Discard, slow); err != nil || n != int64(len(big))-1 {
		t.Errorf("the slow one, in the end: %d bytes, %v", n, err)
	}
}

// A question by UDP that tmcd doesn't answer, as it does with an empty answer,
// holds no place at tmcd while it waits.
func TestDatagramHoldsNoPlaceAtTmcd(t *testing.T) {
	tmcd := startTmcd(t, nil)
	mute, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(tmcd.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Limits: Limits{Pool: 1}})
	waits := dial(t, path)
	defer waits.Close()
	io.WriteString(waits, "USEUDP=1 VERSION=40 accounts ")
	waits.CloseWrite()
	if _, err := mute.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := waits.Read(make([]byte, 1))
		ended <- err
	}()
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
		t.Errorf("%q, %v", reply, err)
	}
	select {
	case err := <-ended:
		t.Errorf("the datagram's end came before: %v", err)
	default:
	}
}
