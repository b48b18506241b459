package answer_test

import (
	"net/netip"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/recorded"
	"emujail/tmcd-mock/testbed"
)

// FuzzAnswer: whatever is asked, by whomever, gets an answer or a reason; what
// it changes can be asked again.
func FuzzAnswer(f *testing.F) {
	recs, err := recorded.Load("../../testdata/vectors/tmcd.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range recs {
		if b := recs[i].Request(); len(b) < 200 && !seen[string(b)] {
			seen[string(b)] = true
			f.Add(b, byte(i%21))
		}
	}
	if len(seen) != 1644 {
		f.Fatalf("%d seeds, want 1644", len(seen))
	}
	tb := recordedBed(f)
	f.Fuzz(func(t *testing.T, b []byte, host byte) {
		req, err := protocol.ParseRequest(b)
		if err != nil {
			return
		}
		own := testbed.New(tb.Snapshot())
		for _, way := range []answer.Transport{answer.TCP, answer.TLS, answer.UDP} {
			res := answer.Answer(own, answer.Query{Source: netip.AddrFrom4([4]byte{127, 0, 0, host}), Transport: way, Request: req})
			if res.Why != "" && len(res.Reply) > 0 {
				t.Errorf("refused (%s) and answered %q", res.Why, res.Reply)
			}
		}
	})
}
