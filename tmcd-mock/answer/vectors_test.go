package answer_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
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

func replyTo(tb *testbed.Testbed, r *recorded.Record, request []byte) ([]byte, string) {
	req, err := protocol.ParseRequest(request)
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
	equal, comparable, more := 0, 0, 0
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
		got, why := replyTo(tb, r, asked(r))
		if !r.Comparable() {
			continue
		}
		comparable++
		if !r.Equal(got) {
			t.Errorf("%s  (%s)", r.Diff(got), why)
			continue
		}
		equal++
		for _, other := range versions(r) {
			if len(r.Tables) > 0 {
				tb.Replace(fresh.Clone())
			}
			if got, _ := replyTo(tb, r, other); !r.Equal(got) {
				t.Errorf("asked as %.40q: %s", other, r.Diff(got))
			}
			more++
		}
	}
	const want = 2575
	if comparable != want {
		t.Errorf("%d records are comparable, want %d", comparable, want)
	}
	t.Logf("%d of %d equal, and %d more that differ in VERSION only", equal, comparable, more)
}

// versions are the record's request with each VERSION that got the same reply.
func versions(r *recorded.Record) [][]byte {
	if r.To == "" {
		return nil
	}
	from, _ := strconv.Atoi(r.From) // "": no tag, before 1
	to, _ := strconv.Atoi(r.To)
	own := regexp.MustCompile(`VERSION=[0-9]+ `)
	bare := own.ReplaceAllLiteral(r.Request(), nil)
	var out [][]byte
	for v := max(1, from); v <= to; v++ {
		out = append(out, append(fmt.Appendf(nil, "VERSION=%d ", v), bare...))
	}
	return out
}
