package answer_test

import (
	"path/filepath"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/recorded"
	"emujail/tmcd-mock/testbed"
)

const vectors = "../../testdata/vectors"

// asked is what the server makes of a record's bytes: what arrives in time and
// within the limits.
func asked(r *recorded.Record) []byte {
	b := r.Request()
	limit := protocol.MaxRequest
	switch r.Transport {
	case "udp":
		limit = protocol.MaxUDPRequest
	case "ssl":
		limit = protocol.MaxRequestTLS
	}
	return b[:min(len(b), limit)]
}

func replyTo(tb *testbed.Testbed, r *recorded.Record) ([]byte, string) {
	req, err := protocol.ParseRequest(asked(r))
	if err != nil {
		return nil, err.Error()
	}
	transport := map[string]answer.Transport{"tcp": answer.TCP, "udp": answer.UDP, "ssl": answer.TLS}[r.Transport]
	res := answer.Answer(tb, answer.Query{Source: r.Source, Transport: transport, Request: req, Now: time.Unix(1464739200, 0)})
	return res.Reply, res.Why
}

// TestVectors asks every recorded exchange of the package itself, without
// sockets, on a fresh database each. All comparable ones must be equal.
func TestVectors(t *testing.T) {
	recs, err := recorded.Load(filepath.Join(vectors, "tmcd.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tb, err := testbed.Load(filepath.Join(vectors, "testbed.json"))
	if err != nil {
		t.Fatal(err)
	}
	fresh := tb.Snapshot()
	equal, comparable := 0, 0
	scenario := ""
	for i := range recs {
		r := &recs[i]
		if r.Scenario == "" || r.Scenario != scenario {
			db := fresh.Clone()
			db.Site.IsolateAdmins = r.Site == "isolate_admins"
			db.Site.NoSharedFS = r.Site == "no_shared_fs"
			tb.Replace(db)
		}
		scenario = r.Scenario
		got, why := replyTo(tb, r)
		if !r.Comparable() {
			continue
		}
		comparable++
		if r.Equal(got) {
			equal++
			continue
		}
		t.Errorf("%s  (%s)", r.Diff(got), why)
	}
	const want = 2575
	if comparable != want {
		t.Errorf("%d records are comparable, want %d", comparable, want)
	}
	t.Logf("%d of %d equal", equal, comparable)
}
