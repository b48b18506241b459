package fault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Deed is one entry of a timeline: what happens, when, and to whom.
type Deed struct {
	At   time.Duration // after the start
	Node string        // pattern; empty: every node
	Do   What
	N    int           // UPDATE=N
	For  time.Duration // down
	Rule Rule          // fault
}

// What a Deed does.
type What string

// The deeds.
const (
	DoUpdate What = "UPDATE" // accounts count as changed N times: isalive says UPDATE=N
	DoFree   What = "freed"  // the node loses its reservation
	DoDown   What = "down"   // tmcd is not there for a while
	DoFault  What = "fault"  // a rule comes
	DoClear  What = "clear"  // all rules go
)

// ParseDeed reads one entry:
//
//	+10s [NODE] UPDATE=1
//	+20s [NODE] freed
//	+30s down 15s
//	+40s [NODE] fault KIND [key=value]…
//	+50s clear
func ParseDeed(line string) (Deed, error) {
	words := strings.Fields(line)
	bad := func(format string, args ...any) (Deed, error) {
		return Deed{}, fmt.Errorf("timeline %q: "+format, append([]any{line}, args...)...)
	}
	if len(words) < 2 || !strings.HasPrefix(words[0], "+") {
		return bad("want +TIME [NODE] and one of UPDATE=N, freed, down TIME, fault KIND…, clear")
	}
	at, err := time.ParseDuration(words[0][1:])
	if err != nil || at < 0 {
		return bad("want a time like +10s first")
	}
	d, words := Deed{At: at}, words[1:]
	if !isDeed(words[0]) {
		if d.Node, err = pattern(words[0]); err != nil || len(words) < 2 || !isDeed(words[1]) {
			return bad("want one of UPDATE=N, freed, down TIME, fault KIND…, clear after the node")
		}
		words = words[1:]
	}
	name, value, _ := strings.Cut(words[0], "=")
	d.Do = What(name)
	rest := words[1:]
	switch d.Do {
	case DoUpdate:
		d.N, err = number(value, 0, 1<<20)
	case DoDown:
		if len(rest) != 1 {
			return bad("want down TIME")
		}
		d.For, err = duration(rest[0])
		rest = nil
	case DoFault:
		d.Rule, err = Parse(strings.Join(rest, " "))
		if d.Rule.Node == "" {
			d.Rule.Node = d.Node
		}
		rest = nil
	}
	if err != nil {
		return bad("%w", err)
	}
	if len(rest) > 0 {
		return bad("%q is one word too many", rest[0])
	}
	return d, nil
}

func isDeed(word string) bool {
	name, _, hasValue := strings.Cut(word, "=")
	what := What(name)
	return hasValue == (what == DoUpdate) && slices.Contains([]What{DoUpdate, DoFree, DoDown, DoFault, DoClear}, what)
}

// String prints d in the form that ParseDeed reads.
func (d Deed) String() string {
	s := "+" + d.At.String() + " "
	if d.Node != "" && d.Do != DoFault {
		s += d.Node + " "
	}
	switch d.Do {
	case DoUpdate:
		return fmt.Sprintf("%sUPDATE=%d", s, d.N)
	case DoDown:
		return s + "down " + d.For.String()
	case DoFault:
		return s + "fault " + d.Rule.String()
	}
	return s + string(d.Do)
}

// Run calls do for each deed when its time after start has come; those that are past at once, in
// order. It returns when all are done or ctx ends.
func Run(ctx context.Context, start time.Time, deeds []Deed, do func(Deed)) {
	deeds = slices.Clone(deeds)
	slices.SortStableFunc(deeds, func(a, b Deed) int { return int(a.At - b.At) })
	for _, d := range deeds {
		timer := time.NewTimer(time.Until(start.Add(d.At)))
		select {
		case <-timer.C:
			do(d)
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
