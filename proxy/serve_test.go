package proxy

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
)

func TestARequestIsAnsweredAsTheSocketsJail(t *testing.T) {
	tmcd, log := startTmcd(t, nil), &auditLog{}
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Audit: log})
	reply, err := ask(t, path, "PROXYFOR=pcvm1-2 VERSION=40 keyhash ")
	if err != nil {
		t.Fatal(err)
	}
	if want := `as=pcvm1-1 command=keyhash version=40 args=""`; reply != want {
		t.Errorf("got %q, want %q", reply, want)
	}
	l := log.wait(t, 1)[0]
	if l.Outcome != "ok" || l.VNode != "pcvm1-1" || l.Command != "keyhash" || strings.Join(l.Stripped, " ") != "PROXYFOR" ||
		l.RequestBytes != 36 || l.ReplyBytes != int64(len(reply)) || l.Peer.PID == 0 {
		t.Errorf("audit line %+v", l)
	}
}

func TestEndOfARequest(t *testing.T) {
	tmcd := startTmcd(t, nil)
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Deadlines: Deadlines{Head: time.Second, Silence: 500 * time.Millisecond}})
	for _, row := range []struct {
		name   string
		half   bool
		pieces []string
		want   string // what tmcd understood; empty: refused
	}{
		{"half-closed", true, []string{"VERSION=40 status "}, `version=40 args=""`},
		{"half-closed without the last space", true, []string{"status"}, `command=status`},
		{"silent after the head", false, []string{"VERSION=40 status "}, `version=40 args=""`},
		{"silent in the head", false, []string{"VERSION=40 stat"}, ""},
		{"silent after the word, before its space", false, []string{"VERSION=40 status"}, ""},
		{"head in two pieces", false, []string{"VERSION=40 acco", "unts "}, `command=accounts`},
		{"every byte a piece", true, strings.Split("VERSION=40 bootlog hello you", ""), `args="hello you"`},
		{"body in pieces", false, []string{"bootlog a", "b", "c"}, `args="abc"`},
		{"nothing", true, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // they wait
			reply, err := exchange(t, path, row.half, row.pieces...)
			switch {
			case row.want == "" && row.pieces == nil && (err != nil || reply != ""):
				t.Errorf("got %q, %v", reply, err)
			case row.want == "" && row.pieces != nil && !isReset(err):
				t.Errorf("not refused: %q, %v", reply, err)
			case row.want != "" && (err != nil || !strings.Contains(reply, row.want)):
				t.Errorf("got %q, %v; want %q in it", reply, err, row.want)
			}
		})
	}
}

func TestAnEmptyAnswerIsACleanEnd(t *testing.T) {
	tmcd := startTmcd(t, func(net.Conn, []byte, protocol.Request) {})
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}})
	for _, half := range []bool{true, false} {
		if reply, err := exchange(t, path, half, "state ISUP "); err != nil || reply != "" {
			t.Errorf("half-close %v: %q, %v", half, reply, err)
		}
	}
}

func TestAFailureShowsAsReset(t *testing.T) {
	release := make(chan struct{})
	var once sync.Once
	big := strings.Repeat("x", 300<<10)
	for name, handle := range map[string]func(net.Conn, []byte, protocol.Request){
		"reset at once":   func(c net.Conn, _ []byte, _ protocol.Request) { c.(*net.TCPConn).SetLinger(0) },
		"reset midway":    func(c net.Conn, _ []byte, _ protocol.Request) { c.Write([]byte(big)); c.(*net.TCPConn).SetLinger(0) },
		"silent for ever": func(c net.Conn, _ []byte, _ protocol.Request) { <-release },
	} {
		t.Run(name, func(t *testing.T) {
			tmcd, log := startTmcd(t, handle), &auditLog{}
			path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(tmcd)}, Audit: log, Deadlines: Deadlines{Progress: 200 * time.Millisecond}})
			for _, half := range []bool{true, false} {
				if reply, err := exchange(t, path, half, "status "); !isReset(err) {
					t.Errorf("half-close %v: %d bytes, error %v", half, len(reply), err)
				}
			}
			if strings.HasPrefix(name, "silent") {
				once.Do(func() { close(release) })
			}
			eventually(t, "tmcd got both", func() bool { return len(tmcd.requests()) >= 2 })
			if l := log.wait(t, 2)[1]; l.Outcome != "error" || l.Why == "" {
				t.Errorf("audit line %+v", l)
			}
			if n := len(tmcd.requests()); n != 2 {
				t.Errorf("tmcd got %d requests for 2: never twice", n)
			}
		})
	}
}
