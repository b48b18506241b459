package proxy

import (
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
)

// T28 of docs/spec/peers.md: a request that fits is delivered whole, to its last
// byte and wherever its head was cut in two; one that doesn't is refused whole.
// (Over TLS: TestTLSIsResumedAndOneRecord. For any bytes: FuzzDecision.)
func TestT28WholeOrNotAtAll(t *testing.T) {
	tmcd := startTmcd(t, nil)
	path := serveAlone(t, Options{
		Tmcd:   Tmcd{Servers: servers(tmcd)},
		Limits: Limits{Rate: 1e6, Burst: 1e6, Requests: 256},
		// All callers half-close: a piece that comes late isn't the end.
		Deadlines: Deadlines{Silence: 5 * time.Second},
	})
	const head = "PROXYFOR=pcvm1-1 VERSION=40 bootlog "
	for _, row := range []struct {
		name string
		body int
		want bool
	}{
		{"all that tmcd reads", protocol.MaxRequest - len(head), true},
		{"a byte more", protocol.MaxRequest - len(head) + 1, false},
		{"much more", 4 * protocol.MaxRequest, false},
	} {
		before := len(tmcd.requests())
		body := strings.Repeat("b", row.body)
		_, err := ask(t, path, "VERSION=40 bootlog "+body)
		came := tmcd.requests()[before:]
		switch {
		case row.want && (err != nil || len(came) != 1 || string(came[0]) != head+body):
			t.Errorf("%s: %d requests came, %v", row.name, len(came), err)
		case !row.want && (err == nil || len(came) != 0):
			t.Errorf("%s: %d requests came, %v", row.name, len(came), err)
		}
	}

	const raw = "VERSION=40 PRIVKEY=x PROXYFOR=pcvm1-2 bootlog VNODEID=pcvm1-2 hello"
	const want = "PROXYFOR=pcvm1-1 VERSION=40 bootlog VNODEID=pcvm1-2 hello"
	before := len(tmcd.requests())
	var all sync.WaitGroup
	for i := 1; i < len(raw); i++ {
		all.Go(func() {
			if _, err := exchange(t, path, true, raw[:i], raw[i:]); err != nil {
				t.Errorf("cut at %q: %v", raw[:i], err)
			}
		})
	}
	all.Wait()
	came := tmcd.requests()[before:]
	if len(came) != len(raw)-1 {
		t.Errorf("%d requests came of %d", len(came), len(raw)-1)
	}
	for _, r := range came {
		if string(r) != want {
			t.Errorf("tmcd saw %q, want %q", r, want)
		}
	}
}
