package protocol

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// seedsOf are the different recorded replies to a command, alone or as blocks.
func seedsOf(tb testing.TB, command string) [][]byte {
	tb.Helper()
	var all [][]byte
	seen := map[string]bool{}
	for _, e := range exchanges(tb) {
		r, err := ParseRequest(e.request())
		if e.Crash || err != nil {
			continue
		}
		blocks := []Block{{r.Command, e.reply()}}
		if r.Command == "fullconfig" {
			inner, _ := SplitFullConfig(e.reply())
			blocks = append(blocks, inner...)
		}
		for _, b := range blocks {
			if b.Command == command && !seen[string(b.Body)] {
				seen[string(b.Body)] = true
				all = append(all, b.Body)
			}
		}
	}
	return all
}

// fuzzReply holds a parser to this: what it takes renders, in every version, to
// what reads back and renders the same; in today's version, to an equal value.
func fuzzReply[T Reply](f *testing.F, command string, seeds int, parse func([]byte) (T, error)) {
	recorded := seedsOf(f, command)
	if len(recorded) != seeds {
		f.Fatalf("%d seeds for %s, want %d", len(recorded), command, seeds)
	}
	for _, seed := range recorded {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := parse(b)
		if errors.Is(err, ErrEmptyReply) {
			return
		}
		for _, version := range []int{0, 1, 2, 4, 9, 12, 17, 26, 31, 36, Version} {
			once := first.Append(nil, version)
			again, err := parse(once)
			if err != nil && (len(once) > 0 || !errors.Is(err, ErrEmptyReply)) {
				t.Fatalf("version %d: %q renders as %q: %v", version, b, once, err)
			}
			if twice := again.Append(nil, version); !bytes.Equal(once, twice) {
				t.Fatalf("version %d: %q renders as %q, then as %q", version, b, once, twice)
			}
		}
		again, _ := parse(first.Append(nil, Version))
		if !reflect.DeepEqual(forget(first), any(again)) {
			t.Fatalf("%q: %#v reads back as %#v", b, first, again)
		}
	})
}

// forget clears the fields that today's version doesn't carry.
func forget[T Reply](reply T) any {
	switch r := any(reply).(type) {
	case Accounts:
		for i := range r.Users {
			r.Users[i].EmulabPubKey, r.Users[i].HomePubKey = "", ""
		}
	case IfConfig:
		for i := range r.Interfaces {
			r.Interfaces[i].Unit = ""
		}
	}
	return reply
}

func FuzzParseRequest(f *testing.F) {
	seeds := map[string]bool{}
	for _, e := range exchanges(f) {
		seeds[string(e.request())] = true
	}
	const want = 1666
	if len(seeds) != want {
		f.Fatalf("%d seeds, want %d", len(seeds), want)
	}
	for seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		if c, ok := Lookup(r.Word); !ok || c.Name != r.Command {
			t.Fatalf("%q: word %q is not %s", b, r.Word, r.Command)
		}
		r.Word = r.Command
		again, err := ParseRequest(r.Append(nil))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%q: %+v reads back as %+v, %v", b, r, again, err)
		}
	})
}

func FuzzSplitFullConfig(f *testing.F) {
	seeds := seedsOf(f, "fullconfig")
	const want = 131
	if len(seeds) != want {
		f.Fatalf("%d seeds, want %d", len(seeds), want)
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		blocks, err := SplitFullConfig(b)
		if got := AppendFullConfig(nil, blocks); err == nil && !bytes.Equal(got, b) {
			t.Fatalf("%q renders as %q", b, got)
		}
	})
}
