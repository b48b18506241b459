package event

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func sample() Event {
	return Event{Experiment: "jails/demo", Object: "cbr0", Type: TrafGen, Action: "START", Args: "RATE=1000",
		Time: time.Unix(1700000000, 123456789).UTC(), Seq: 7, Sender: 42}
}

func TestBothWays(t *testing.T) {
	want := sample().Sign([]byte("key"))
	line := want.Append(nil)
	if line[len(line)-1] != '\n' || strings.Count(string(line), "\n") != 1 {
		t.Errorf("not one line: %q", line)
	}
	got, err := Parse(line)
	if err != nil || !got.Time.Equal(want.Time) {
		t.Fatalf("%+v, %v", got, err)
	}
	got.Time = want.Time
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if !got.Verify([]byte("key")) || got.Verify([]byte("other")) {
		t.Error("the key doesn't decide")
	}
}

// TestEveryFieldIsSigned: a change anywhere breaks the proof.
func TestEveryFieldIsSigned(t *testing.T) {
	key := []byte("key")
	for name, change := range map[string]func(*Event){
		"experiment": func(e *Event) { e.Experiment = "x" }, "object": func(e *Event) { e.Object = "x" },
		"type": func(e *Event) { e.Type = "x" }, "action": func(e *Event) { e.Action = "x" },
		"args": func(e *Event) { e.Args = "x" }, "time": func(e *Event) { e.Time = e.Time.Add(1) },
		"seq": func(e *Event) { e.Seq++ }, "sender": func(e *Event) { e.Sender++ },
		"mac": func(e *Event) { e.MAC = "" }, "moved between fields": func(e *Event) { e.Object, e.Type = "cbr0T", "RAFGEN" },
	} {
		e := sample().Sign(key)
		change(&e)
		if e.Verify(key) {
			t.Errorf("%s is not signed", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing": "", "no JSON": "START", "no object": `{"action":"START"}`, "no action": `{"object":"x"}`,
		"too long": `{"object":"x","action":"` + strings.Repeat("a", MaxLine) + `"}`,
	} {
		if _, err := Parse([]byte(line)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestGuard(t *testing.T) {
	key, now := []byte("key"), sample().Time
	next := func(seq, sender uint64) Event {
		e := sample()
		e.Seq, e.Sender = seq, sender
		return e.Sign(key)
	}
	other := sample()
	other.Experiment = "jails/other"
	g := Guard{Experiment: "jails/demo", Key: key}
	for _, row := range []struct {
		name string
		e    Event
		now  time.Time
		want error
	}{
		{"genuine", next(7, 1), now, nil},
		{"again", next(7, 1), now, ErrReplay},
		{"late", next(6, 1), now, ErrReplay},
		{"next", next(8, 1), now, nil},
		{"another sender counts for itself", next(1, 2), now, nil},
		{"other experiment", other.Sign(key), now, ErrExperiment},
		{"other key", sample().Sign([]byte("guess")), now, ErrKey},
		{"no key", sample(), now, ErrKey},
		{"old", next(9, 1), now.Add(DefaultSkew + time.Second), ErrTime},
		{"from the future", next(9, 1), now.Add(-DefaultSkew - time.Second), ErrTime},
		{"a refused one isn't remembered", next(9, 1), now, nil},
	} {
		if err := g.Check(row.e, row.now); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	for i := range uint64(3 * maxSenders) {
		if err := g.Check(next(1, 1000+i), now.Add(time.Duration(i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.seen) > maxSenders {
		t.Errorf("remembers %d senders", len(g.seen))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte(`{"object":"x","action":"y","time":"2024-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(e.Append(nil))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if again.Object != e.Object || again.Args != e.Args || !again.Time.Equal(e.Time) {
			t.Errorf("%+v, then %+v", e, again)
		}
	})
}

func TestJoinArgs(t *testing.T) {
	words := []string{"COMMAND=echo it's", "DIR=/x", "plain", "A=b c", "B="}
	if got, want := JoinArgs(words), `COMMAND="echo it's" DIR=/x plain A='b c' B=`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestClockIsSet: sender and agents are on one host, and its clock is set between
// two events: both count.
func TestClockIsSet(t *testing.T) {
	now := time.Now()
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		g := Guard{Experiment: "jails/demo", Key: []byte("key")}
		for n, at := range []time.Time{now, now.Add(by), now.Add(by + time.Second)} {
			e := Event{Experiment: "jails/demo", Object: "cbr0", Action: "START", Time: at, Seq: uint64(n + 1), Sender: 1}.Sign([]byte("key"))
			if err := g.Check(e, at.Add(time.Millisecond)); err != nil {
				t.Errorf("by %v, event %d: %v", by, n+1, err)
			}
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "A=b", "COMMAND='a b' DIR=/x", "X=\"", "=", "a'=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := SplitArgs(text)
		if err != nil {
			return
		}
		for key, value := range all {
			if !strings.Contains(text, key+"=") || !strings.Contains(text, value) {
				t.Fatalf("%q: %s=%q isn't in it", text, key, value)
			}
		}
	})
}

// What an object of a type understands; of other types everything is believed.
func TestCheckWords(t *testing.T) {
	for _, tt := range []struct{ kind, action, args, want string }{
		{TrafGen, "START", "PACKETSIZE=100 RATE=8 INTERVAL=-1 IPTOS=0", ""},
		{TrafGen, "KILL", "", "knows START, STOP, MODIFY, RESET"},
		{TrafGen, "START", "RAET=1", "argument RAET"},
		{TrafGen, "START", "1000", "want KEY=VALUE"},
		{Program, "KILL", "SIGNAL=TERM", ""},
		{Program, "START", "COMMAND='a b=c' DIR=/tmp", ""},
		{Program, "MODIFY", "RATE=1", "argument RATE"},
		{Program, "MODIFY", "TIMEOUT=abc", "TIMEOUT=abc: want a number"},
		{Program, "MODIFY", "TIMEOUT=2.5 EXPECTED_EXIT_CODE=", ""},
		{TrafGen, "MODIFY", "RATE=x", "RATE=x: want a number"},
		{TrafGen, "MODIFY", "RATE=0x10", ""},
		{"", "BEGIN", "X=1", ""},
		{Node, "BEGIN", "X", ""},
	} {
		err := CheckWords(tt.kind, tt.action, tt.args)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s %q: %v, want %q", tt.kind, tt.action, tt.args, err, tt.want)
		}
	}
}
