package protocol

import (
	"bytes"
	"errors"
	"maps"
	"testing"
)

// Every recorded reply is read and rendered to the same bytes, in every version
// that got it, alone or as a block of a fullconfig.
func TestRecordedReplies(t *testing.T) {
	count := map[string]int{}
	for _, e := range exchanges(t) {
		r, err := ParseRequest(e.request())
		if e.Crash || err != nil || e.Group == "errors" && len(e.Chunks) > 0 {
			continue
		}
		for _, version := range e.versions(r.Version) {
			for _, b := range blocksOf(t, e.ID, r.Command, e.reply()) {
				count[b.Command]++
				roundTrip(t, e.ID, b, version)
			}
		}
	}
	total := 0
	for _, c := range Commands() {
		total += count[c.Name]
		if count[c.Name] == 0 {
			t.Errorf("no reply of %s", c.Name)
		}
	}
	const want = 19503
	if total != want {
		t.Errorf("%d replies, want %d", total, want)
	}
}

// Every recorded request that this package refuses got no answer, and the
// reasons are these.
func TestRecordedRequests(t *testing.T) {
	why := map[string]int{}
	for _, e := range exchanges(t) {
		_, err := ParseRequest(e.request())
		if err == nil {
			why["none"]++
			continue
		}
		if len(e.reply()) > 0 && e.Nondeterministic == "" {
			t.Errorf("%s: %q is refused (%v), but got %q", e.ID, e.request(), err, e.reply())
		}
		for _, reason := range []error{ErrEmptyToken, ErrNoCommand, ErrTagPrefix, ErrNodeID, ErrKey, ErrIDKey, ErrUnknownCommand} {
			if errors.Is(err, reason) {
				why[reason.Error()]++
			}
		}
	}
	want := map[string]int{
		"none":                    2858,
		ErrEmptyToken.Error():     2,
		ErrNoCommand.Error():      6,
		ErrTagPrefix.Error():      4,
		ErrNodeID.Error():         2,
		ErrKey.Error():            2,
		ErrIDKey.Error():          1,
		ErrUnknownCommand.Error(): 10,
	}
	if !maps.Equal(why, want) {
		t.Errorf("refused: %v, want %v", why, want)
	}
}

func blocksOf(t *testing.T, id, command string, reply []byte) []Block {
	t.Helper()
	all := []Block{{command, reply}}
	if command != "fullconfig" {
		return all
	}
	blocks, err := SplitFullConfig(reply)
	if err != nil {
		t.Errorf("%s: %v", id, err)
	}
	if got := AppendFullConfig(nil, blocks); !bytes.Equal(got, reply) {
		t.Errorf("%s: fullconfig differs", id)
	}
	return append(all, blocks...)
}

func roundTrip(t *testing.T, id string, b Block, version int) {
	t.Helper()
	reply, err := ParseReply(b.Command, b.Body)
	if errors.Is(err, ErrEmptyReply) && len(b.Body) == 0 {
		return
	}
	if err != nil {
		t.Errorf("%s: %s in version %d: %v\n%s", id, b.Command, version, err, b.Body)
		return
	}
	if got := reply.Append(nil, version); !bytes.Equal(got, b.Body) {
		t.Errorf("%s: %s in version %d:\n%s\nwant\n%s", id, b.Command, version, got, b.Body)
	}
}
