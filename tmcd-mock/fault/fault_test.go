package fault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse(t *testing.T) {
	for _, row := range []struct{ in, want, err string }{
		{"refuse", "refuse", ""},
		{"delay delay=2s", "delay delay=2s", ""},
		{"latency delay=1500ms jitter=1s", "delay delay=1.5s jitter=1s", ""},
		{"delay command=acc* node=pcvm1-* transport=udp p=0.5 next=3 delay=2s", "delay command=acc* node=pcvm1-* transport=udp p=0.5 next=3 delay=2s", ""},
		{"bandwidth rate=100", "drip rate=100", ""},
		{"timeout", "hang", ""},
		{"reset_peer", "reset", ""},
		{"limit_data bytes=5", "cut bytes=5", ""},
		{"slicer bytes=5", "slice bytes=5", ""},
		{"slow_close delay=1s", "slow-close delay=1s", ""},
		{"redirect to=h:v", "redirect to=h:v", ""},
		{"", "", "want KIND"},
		{"explode", "", "one of down, "},
		{"delay", "", "want delay="},
		{"redirect", "", "want to="},
		{"drip", "", "want rate="},
		{"refuse p=0", "", "a number above 0"},
		{"refuse p=2", "", "a number above 0"},
		{"refuse p=NaN", "", "a number above 0"},
		{"refuse next=0", "", "a number from 1"},
		{"refuse transport=sctp", "", "tcp, udp or tls"},
		{"refuse node=[", "", "a pattern"},
		{"refuse node=", "", "a pattern"},
		{"refuse command=hostname", "", "did you mean hostnames?"},
		{"refuse command=statusx", "", "did you mean status?"},
		{"refuse command=frobnicate", "", "no such command (docs/protocol.md"},
		{"refuse command=x*", "", "no such command"},
		{"refuse command=hostnames", "refuse command=hostnames", ""},
		{"refuse command=?", "refuse command=?", ""},
		{"refuse colour=red", "", "no such key"},
		{"refuse p=1 p=1", "", "twice"},
		{"refuse p", "", "key=value"},
		{"delay delay=2h", "", "at most"},
		{"delay delay=-1s", "", "a time like"},
	} {
		r, err := Parse(row.in)
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%q: error %v, want …%s…", row.in, err, row.err)
			}
			continue
		}
		if err != nil || r.String() != row.want {
			t.Errorf("%q: %q, %v; want %q", row.in, r, err, row.want)
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Errorf("%q doesn't survive printing: %v, %v", row.in, again, err)
		}
	}
}

func add(t testing.TB, s *Set, specs ...string) {
	t.Helper()
	for _, spec := range specs {
		r, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(r)
	}
}

func kindsOf(list []Trouble) string {
	var names []string
	for _, t := range list {
		names = append(names, string(t.Rule.Kind))
	}
	return strings.Join(names, ",")
}

func TestForMatches(t *testing.T) {
	for _, row := range []struct {
		rule string
		ask  Ask
		want string
	}{
		{"refuse", Ask{Command: "status", Node: "pc1", Transport: "tcp"}, "refuse"},
		{"refuse command=acc*", Ask{Command: "accounts", Node: "pc1"}, "refuse"},
		{"refuse command=acc*", Ask{Command: "status", Node: "pc1"}, ""},
		{"refuse node=pcvm1-*", Ask{Node: "pcvm1-2", Host: "pc1"}, "refuse"},
		{"refuse node=pc1", Ask{Node: "pcvm1-2", Host: "pc1"}, "refuse"},
		{"refuse node=pc2", Ask{Node: "pcvm1-2", Host: "pc1"}, ""},
		{"refuse transport=tls", Ask{Transport: "tcp"}, ""},
		{"refuse transport=tls", Ask{Transport: "tls"}, "refuse"},
		{"down", Ask{Early: true, Host: "pc1"}, "down"},
		{"down node=pc2", Ask{Early: true, Host: "pc1"}, ""},
		{"down", Ask{Command: "status"}, ""},
		{"refuse", Ask{Early: true}, ""},
		{"wrong-cert command=status", Ask{Early: true}, "wrong-cert"},
	} {
		s := NewSet(1)
		add(t, s, row.rule)
		if got := kindsOf(s.For(row.ask, time.Now())); got != row.want {
			t.Errorf("%s for %+v: %q, want %q", row.rule, row.ask, got, row.want)
		}
	}
}

func TestNextN(t *testing.T) {
	s := NewSet(1)
	add(t, s, "refuse next=2", "cut bytes=1", "cut bytes=2")
	var got []string
	for range 3 {
		got = append(got, kindsOf(s.For(Ask{Command: "status"}, time.Now())))
	}
	if want := []string{"refuse,cut", "refuse,cut", "cut"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if rules := s.Rules(); len(rules) != 2 || rules[0].Bytes != 1 {
		t.Errorf("left: %v", rules)
	}
}

// T38: the same seed gives every node the same trouble, in whatever order the nodes come.
func TestT38SameSeedSameRun(t *testing.T) {
	run := func(seed uint64, nodes ...string) map[string]string {
		s := NewSet(seed)
		add(t, s, "refuse p=0.5", "delay delay=1s jitter=1s")
		seen := map[string]string{}
		for range 50 {
			for _, n := range nodes {
				for _, trouble := range s.For(Ask{Command: "status", Node: n}, time.Now()) {
					seen[n] += fmt.Sprint(trouble.Rule.Kind, trouble.Delay, " ")
				}
			}
		}
		return seen
	}
	one, other, third := run(7, "pc1", "pc2", "pc3"), run(7, "pc3", "pc1"), run(8, "pc1", "pc2", "pc3")
	for _, n := range []string{"pc1", "pc3"} {
		if one[n] != other[n] {
			t.Errorf("%s: two runs with one seed differ:\n%s\n%s", n, one[n], other[n])
		}
		if one[n] == third[n] {
			t.Errorf("%s: two seeds, one run", n)
		}
	}
	if one["pc1"] == one["pc2"] {
		t.Error("two nodes have the same luck")
	}
	if n := strings.Count(one["pc1"], "refuse"); n < 10 || n > 40 {
		t.Errorf("%d of 50 with p=0.5", n)
	}
}

func TestReplaceKeepsAddedRules(t *testing.T) {
	s := NewSet(1)
	add(t, s, "refuse")
	file := func(spec string) []Rule {
		r, err := Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		return []Rule{r}
	}
	s.Replace(file("hang"))
	s.Replace(file("empty"))
	if got := fmt.Sprint(s.Rules()); got != "[refuse empty]" {
		t.Errorf("rules %s", got)
	}
	if err := s.Remove(99); err == nil {
		t.Error("a rule that isn't there was removed")
	}
	if err := s.Remove(0); err != nil || !s.Idle() {
		t.Errorf("%v, %v", err, s.Rules())
	}
}

func TestDownUntil(t *testing.T) {
	s, now := NewSet(1), time.Now()
	s.DownUntil(now.Add(time.Second))
	if got := kindsOf(s.For(Ask{Early: true}, now)); got != "down" {
		t.Errorf("now: %q", got)
	}
	if got := kindsOf(s.For(Ask{Early: true}, now.Add(2*time.Second))); got != "" {
		t.Errorf("later: %q", got)
	}
}

func TestParseDeed(t *testing.T) {
	for _, row := range []struct{ in, want, err string }{
		{"+10s UPDATE=1", "+10s UPDATE=1", ""},
		{"+20s pcvm1-* freed", "+20s pcvm1-* freed", ""},
		{"+30s down 15s", "+30s down 15s", ""},
		{"+1m fault delay delay=2s", "+1m0s fault delay delay=2s", ""},
		{"+1m pc1 fault refuse", "+1m0s fault refuse node=pc1", ""},
		{"+0s clear", "+0s clear", ""},
		{"10s freed", "", "+TIME"},
		{"+soon freed", "", "a time like"},
		{"+1s", "", "want +TIME"},
		{"+1s pc1", "", "after the node"},
		{"+1s pc1 vanish", "", "after the node"},
		{"+1s UPDATE=x", "", "a number"},
		{"+1s freed now", "", "too many"},
		{"+1s down", "", "down TIME"},
		{"+1s down x", "", "a time like"},
		{"+1s fault explode", "", "want a kind"},
	} {
		d, err := ParseDeed(row.in)
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%q: error %v, want …%s…", row.in, err, row.err)
			}
			continue
		}
		if err != nil || d.String() != row.want {
			t.Errorf("%q: %q, %v; want %q", row.in, d, err, row.want)
		}
	}
}

func TestRunTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deeds []Deed
		for _, line := range []string{"+20s freed", "+10s UPDATE=1", "+1h clear"} {
			d, err := ParseDeed(line)
			if err != nil {
				t.Fatal(err)
			}
			deeds = append(deeds, d)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var got []string
		Run(ctx, start, deeds, func(d Deed) { got = append(got, fmt.Sprint(time.Since(start), " ", d.Do)) })
		if want := []string{"10s UPDATE", "20s freed"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestSections(t *testing.T) {
	rules, err := ParseFaults("x.yaml", 10, "faults:\n  - delay delay=2s\n  - cut bytes=3 # three\n")
	if err != nil || fmt.Sprint(rules) != "[delay delay=2s cut bytes=3]" {
		t.Errorf("%v, %v", rules, err)
	}
	deeds, err := ParseTimeline("x.yaml", 20, "timeline:\n  - +10s UPDATE=1\n  - \"+20s freed\"\n")
	if err != nil || len(deeds) != 2 {
		t.Errorf("%v, %v", deeds, err)
	}
	for _, row := range []struct{ text, want string }{
		{"faults:\n  - delay delay=2s\n  - explode\n", "x.yaml:12: "},
		{"faults:\n  - {kind: delay}\n", "x.yaml:11: faults: want a line of text"},
		{"faults: explode\n", "x.yaml:10: "},
		{"faults:\n  - [\n", "x.yaml:10: "},
	} {
		if _, err := ParseFaults("x.yaml", 10, row.text); err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%q: error %v, want %s…", row.text, err, row.want)
		}
	}
	for _, text := range []string{"", "faults:\n", "faults: []\n"} {
		if rules, err := ParseFaults("x.yaml", 1, text); err != nil || len(rules) != 0 {
			t.Errorf("%q: %v, %v", text, rules, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"refuse", "delay delay=2s jitter=1s p=0.25 next=3", "cut bytes=3 command=a* node=b? transport=tls", "redirect to=h:v"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		r, err := Parse(spec)
		if err != nil {
			return
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Errorf("%q prints as %q, which reads as %v, %v", spec, r, again, err)
		}
	})
}
