package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"emujail/protocol"
)

// vectors are all requests of the recorded exchanges.
func vectors(t testing.TB) (requests [][]byte) {
	t.Helper()
	f, err := os.Open("../testdata/vectors/tmcd.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var rec struct{ Request string }
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, 0, len(rec.Request))
		for _, c := range rec.Request { // a character a byte
			raw = append(raw, byte(c))
		}
		requests = append(requests, raw)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return requests
}

func TestVectorsAreSeeds(t *testing.T) {
	if n := len(vectors(t)); n != 2885 {
		t.Errorf("%d recorded requests, want 2885", n)
	}
}

// FuzzDecision: for no input does what tmcd understands of what is sent on
// differ from what the proxy decided, and the jail is always the socket's.
func FuzzDecision(f *testing.F) {
	for _, raw := range vectors(f) {
		f.Add(raw)
	}
	for _, a := range attacks() {
		f.Add([]byte(a.raw()))
	}
	f.Fuzz(decision)
}

func TestDecisionOnAllVectors(t *testing.T) {
	for _, raw := range vectors(t) {
		decision(t, raw)
	}
}

func decision(t *testing.T, raw []byte) {
	r, done, err := parse(raw, true)
	if done != (err == nil) {
		t.Fatalf("%q: done %v, error %v", raw, done, err)
	}
	if err != nil {
		return
	}
	if r.command == bossinfo {
		return // never sent
	}
	sent := r.stamp("pcvm1-1", "").Append(nil)
	got, err := protocol.ParseRequest(sent)
	if err != nil {
		t.Fatalf("%q is sent on as %q, which tmcd doesn't understand: %v", raw, sent, err)
	}
	if got.ProxyFor != "pcvm1-1" || got.VNodeID != "" || got.PrivKey != "" || got.IDKey != "" || got.Redirect != "" || got.UseUDP {
		t.Fatalf("%q: identity of %q is %+v", raw, sent, got)
	}
	if got.Command != r.command || got.Word != r.command || got.Version != r.version || !bytes.Equal(got.Args, r.args) {
		t.Fatalf("%q: decided %+v, tmcd understands %+v", raw, r, got)
	}
	if !bytes.HasSuffix(raw, r.args) {
		t.Fatalf("%q: arguments became %q", raw, r.args)
	}
	agree(t, raw, r)
}

// agree: where the caller brought no tag that was taken out, tmcd would have
// understood the same of the caller's own bytes.
func agree(t *testing.T, raw []byte, r request) {
	if r.spoofs > 0 || r.useUDP {
		return
	}
	own, err := protocol.ParseRequest(raw)
	if err != nil || own.Command != r.command || own.Version != r.version || !bytes.Equal(own.Args, r.args) {
		t.Fatalf("%q: decided %+v, tmcd would read %+v, %v", raw, r, own, err)
	}
}
