package expect

import (
	"strings"
	"testing"
	"time"

	"emujail/tmcd-mock/store"
)

func state(node, state string) store.Event {
	return store.Event{Kind: store.ReportEvent, Node: node, Text: store.Text(state)}
}

func request(node, transport, command string, outcome store.Outcome, why string, sent int) store.Event {
	return store.Event{Kind: store.RequestEvent, Node: node, Request: &store.Request{Source: "127.0.0.1", Transport: transport,
		Command: command, Outcome: outcome, Why: store.Text(why), Sent: sent, Received: 20}}
}

func TestVerdicts(t *testing.T) {
	answered := request("pcvm1-1", "udp", "keyhash", store.Answered, "", 30)
	unknown := request("pc1", "tcp", "?", store.Refused, `unknown command "bogus"`, 0)
	unknown.Unknown = true
	for _, row := range []struct {
		name, text string
		events     []store.Event
		at         time.Duration
		want       Verdict
		why        string
	}{
		{"state is there already", "pc1 ISUP", nil, 0, Met, ""},
		{"state isn't there", "pcvm1-1 ISUP", nil, 0, Broken, "pcvm1-1 is in BOOTING"},
		{"state may come", "pcvm1-1 ISUP within 60s", nil, 59 * time.Second, Open, ""},
		{"state came", "pcvm1-1 ISUP within 60s", []store.Event{state("pcvm1-1", "ISUP")}, time.Second, Met, ""},
		{"state came too late", "pcvm1-1 ISUP within 60s", nil, 60 * time.Second, Broken, "pcvm1-1 is in BOOTING"},
		{"another node's state", "pcvm1-1 ISUP within 60s", []store.Event{state("pcvm1-2", "ISUP")}, time.Second, Open, ""},
		{"one of two", "pcvm1-* ISUP within 60s", []store.Event{state("pcvm1-2", "ISUP")}, time.Second, Open, ""},
		{"both of two", "pcvm1-* ISUP within 60s", []store.Event{state("pcvm1-2", "ISUP"), state("pcvm1-1", "ISUP")}, time.Second, Met, ""},
		{"state left again", "pc1 ISUP", []store.Event{state("pc1", "SHUTDOWN")}, 0, Broken, "pc1 is in SHUTDOWN"},
		{"asked", "pcvm1-1 asks keyhash", []store.Event{answered}, 0, Met, ""},
		{"not asked", "pcvm1-1 asks keyhash", []store.Event{unknown}, 0, Broken, "it didn't happen"},
		{"refused isn't asked", "pc1 asks status", []store.Event{request("pc1", "tcp", "status", store.Refused, "x", 0)}, 0, Broken, ""},
		{"reported", "pcvm1-* reports bootlog", []store.Event{request("pcvm1-2", "tcp", "bootlog", store.Empty, "", 0)}, 0, Met, ""},
		{"none unknown", "no unknown command", []store.Event{answered}, 0, Met, ""},
		{"refused, but not as unknown", "no unknown command", []store.Event{request("pc1", "tcp", "?", store.Refused, "no command", 0)}, 0, Met, ""},
		{"one unknown", "no unknown command", []store.Event{unknown, answered}, 0, Broken, "bogus"},
		{"none so far", "no unknown command for 10s", nil, 9 * time.Second, Open, ""},
		{"none in all that time", "no unknown command for 10s", nil, 10 * time.Second, Met, ""},
		{"refused", "no refused request", []store.Event{unknown}, 0, Broken, "bogus"},
		{"failed", "no failed request", []store.Event{request("pc1", "tcp", "accounts", store.Failed, "reset", 3)}, 0, Broken, "accounts over tcp"},
		{"secret over UDP", "no secret over UDP", []store.Event{answered}, 0, Broken, "keyhash over udp"},
		{"secret that wasn't sent", "no secret over UDP", []store.Event{request("pc1", "udp", "keyhash", store.Empty, "", 0)}, 0, Met, ""},
		{"secret over TLS", "no secret over UDP", []store.Event{request("pc1", "tls", "keyhash", store.Answered, "", 9)}, 0, Met, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := Parse(row.text)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Start(map[string]string{"pc1": "ISUP", "pcvm1-1": "BOOTING", "pcvm1-2": ""}); err != nil {
				t.Fatal(err)
			}
			for _, ev := range row.events {
				e.See(ev)
			}
			got := e.Verdict(row.at)
			if got != row.want || got == Broken && !strings.Contains(e.Why(), row.why) {
				t.Errorf("verdict %d (%s), want %d (…%s…)", got, e.Why(), row.want, row.why)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"", "NODE STATE"},
		{"pc1", "NODE STATE"},
		{"pc1 is up now", "NODE STATE"},
		{"no", "NODE STATE"},
		{"no idea", "no failed request, no refused request"},
		{"pc1 asks nonsense", "a command of tmcd"},
		{"pc1 asks accountsX", "a command of tmcd"},
		{"pc1 ISUPP within 5s", "a state instead of ISUPP: BOOTING, TBSETUP, ISUP"},
		{"pc1 isup", "a state instead of isup"},
		{"pc1 reports nonsense", "a command that reports"},
		{"pc1 ISUP within soon", "a time like"},
		{"pc1 ISUP for 5s", "within TIME"},
		{"no unknown command within 5s", "for TIME"},
		{"[ ISUP", "a pattern"},
	} {
		if e, err := Parse(row.text); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, %v; want …%s…", row.text, e, err, row.want)
		}
	}
	e, err := Parse("pc9 ISUP")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(map[string]string{"pc1": ""}); err == nil {
		t.Error("a node that isn't there is waited for")
	}
}
