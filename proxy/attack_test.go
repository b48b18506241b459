package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
)

// An attack is what a hostile root in pcvm1-1 writes to its socket. Whatever
// it is: tmcd answers as pcvm1-1, or nobody does.
type attack struct {
	name      string
	pieces    []string // written one by one
	halfClose bool
}

func (a attack) raw() string { return strings.Join(a.pieces, "") }

// attacks makes the corpus: tags × values × separators × cases × positions,
// then segmentations, transports, ends, sizes and bodies.
func attacks() (all []attack) {
	add := func(name string, half bool, pieces ...string) {
		all = append(all, attack{name: fmt.Sprintf("%s #%d", name, len(all)), pieces: pieces, halfClose: half})
	}
	names := []string{"PROXYFOR", "VNODEID", "PRIVKEY", "IDKEY", "REDIRECT", "proxyfor", "VnodeID", "XVNODEID", "USEUDP"}
	values := []string{"pcvm1-2", "", "pcvm1-1", "0123456789abcdef0123", "10.0.0.1", "pcvm1-2=pcvm1-3"}
	separators := []string{" ", "  ", "\t", "\n", "\r\n", "\x00", "\v", ""}
	for _, name := range names {
		for _, value := range values {
			tag := name + "=" + value
			for _, sep := range separators {
				for place, raw := range map[string]string{
					"before":      tag + sep + "VERSION=40 keyhash ",
					"between":     "VERSION=40 " + tag + sep + "keyhash ",
					"twice":       tag + sep + tag + sep + "keyhash ",
					"after":       "VERSION=40 keyhash " + tag + sep,
					"in the word": "VERSION=40 keyhash" + sep + tag + " ",
				} {
					add(place+" "+name, true, raw)
				}
			}
		}
	}
	spoof := "PROXYFOR=pcvm1-2 VERSION=40 keyhash "
	for i := 1; i < len(spoof); i++ {
		add("cut in two", true, spoof[:i], spoof[i:])
	}
	for i := 1; i < len(spoof); i += 5 {
		add("cut in two, never half-closed", false, spoof[:i], spoof[i:])
	}
	for _, size := range []int{100, 2047, 2048, maxHead - 10, maxHead, maxHead + 1, 16384, protocol.MaxRequest, protocol.MaxRequest + 1, maxRaw, maxRaw + 1, 100000} {
		for _, fill := range []string{"A", " ", "VNODEID=pcvm1-2 ", "\x00", "PROXYFOR=pcvm1-2 keyhash "} {
			long := strings.Repeat(fill, size/len(fill)+1)[:size]
			add("huge head", true, long+" PROXYFOR=pcvm1-2 keyhash ")
			add("huge body", true, "bootlog "+long)
			add("huge body, then a request", true, "bootlog "+long+"\nPROXYFOR=pcvm1-2 keyhash ")
		}
	}
	for _, body := range []string{"PROXYFOR=pcvm1-2 keyhash ", "\nVNODEID=pcvm1-2 status ", "\x00PROXYFOR=pcvm1-2 accounts ", protocol.TLSTag, "REDIRECT=10.0.0.1:pcvm1-2\n"} {
		for _, command := range []string{"bootlog", "hostkeys", "startstatus", "rusage", "state"} {
			add("a request as body", true, command+" "+body)
			add("two requests", true, command+" x", body)
		}
	}
	for _, udp := range []string{"USEUDP=1 ", "USEUDP=1 USEUDP=1 ", "USEUDP=1 VERSION=40 ", "VERSION=40 USEUDP=1 "} {
		for _, rest := range []string{"PROXYFOR=pcvm1-2 isalive ", "VNODEID=pcvm1-2 watchdoginfo ", "isalive PROXYFOR=pcvm1-2 ", "nodeid " + strings.Repeat("x", 3000)} {
			add("udp", true, udp+rest)
		}
	}
	for _, raw := range []string{protocol.TLSTag, protocol.TLSTag + spoof, "PROXY TCP4 10.0.0.2 10.0.0.1 1 7777\r\n" + spoof, "\r\n\r\n\x00\r\nQUIT\n" + spoof, "GET / HTTP/1.1\r\n"} {
		add("another protocol", true, raw)
	}
	return all
}

func TestCorpusIsLarge(t *testing.T) {
	if n := len(attacks()); n < 2000 {
		t.Errorf("%d attacks, want at least 2000", n)
	}
}

// S3 of docs/spec/jail.md, T28 of docs/spec/peers.md.
func TestS3NoJailSpeaksForAnother(t *testing.T) {
	tmcd := startTmcd(t, nil)
	startUDP(t, tmcd)
	path := serveAlone(t, Options{
		Tmcd:      Tmcd{Servers: servers(tmcd)},
		Deadlines: Deadlines{Head: 200 * time.Millisecond, Silence: 50 * time.Millisecond, Datagram: 200 * time.Millisecond},
		Limits:    Limits{Rate: 1e6, Burst: 1e6, Bytes: 1e12, BytesBurst: 1e12},
	})
	honest := func() {
		t.Helper()
		if reply, err := ask(t, path, "VERSION=40 status "); err != nil || reply != `as=pcvm1-1 command=status version=40 args=""` {
			t.Fatalf("honest request: %q, %v", reply, err)
		}
	}
	honest()
	var all sync.WaitGroup
	work, answered := make(chan attack), make(chan bool, 10000)
	for range 16 {
		all.Go(func() {
			for a := range work {
				reply, err := attempt(path, a)
				if reply != "" && !strings.HasPrefix(reply, "as=pcvm1-1 ") {
					t.Errorf("%s: %.200q is answered by %.200q", a.name, a.raw(), reply)
				}
				if reply == "" && err == nil {
					t.Errorf("%s: %.200q: a clean end without an answer", a.name, a.raw())
				}
				answered <- reply != ""
			}
		})
	}
	for _, a := range attacks() {
		work <- a
	}
	close(work)
	all.Wait()
	close(answered)
	n := 0
	for yes := range answered {
		if yes {
			n++
		}
	}
	t.Logf("%d attacks, %d answered as pcvm1-1, the others by nobody", len(attacks()), n)
	if n < 500 {
		t.Errorf("only %d were answered: the corpus misses what is behind the first check", n)
	}
	honest()
	for _, raw := range tmcd.requests() {
		if r, err := protocol.ParseRequest(raw); err != nil || r.ProxyFor != "pcvm1-1" || r.VNodeID != "" || r.PrivKey != "" {
			t.Errorf("tmcd got %.200q: %+v, %v", raw, r, err)
		}
	}
}

// attempt carries out a without stopping at the first write that fails.
func attempt(path string, a attack) (string, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	for i, p := range a.pieces {
		if i > 0 {
			time.Sleep(2 * time.Millisecond) // a piece of its own
		}
		if _, err := conn.Write([]byte(p)); err != nil {
			break // refused already
		}
	}
	if a.halfClose {
		conn.CloseWrite()
	}
	reply, err := io.ReadAll(conn)
	return string(reply), err
}

// startUDP answers datagrams at tmcd's port.
func startUDP(t testing.TB, f *fakeTmcd) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.addr.Addr(), f.addr.Port())))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.seen = append(f.seen, append([]byte(nil), buf[:n]...))
			f.mu.Unlock()
			if r, err := protocol.ParseRequest(buf[:n]); err == nil {
				conn.WriteToUDPAddrPort(understood(r), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn
}
