//go:build linux && privileged

package e2e

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// happening is one step: something that happens to the host.
type happening struct {
	what  string
	verb  string // what is cut off, or meets a fault
	other string // a second verb
	vnode int
	n     int // of records, of data, of milliseconds
	set   uint
}

// String says it in a line.
func (s happening) String() string {
	name := modelVNodes[s.vnode].name
	switch s.what {
	case "verb":
		return s.verb + " " + name
	case "wide":
		return strings.TrimSpace("bootvnodes " + s.verb)
	case "twice":
		return fmt.Sprintf("%s and %s %s at once", s.verb, s.other, name)
	case "crash", "wide crash":
		return fmt.Sprintf("%s %s, the supervisor killed %d records later", s.verb, name, s.n)
	case "away":
		return fmt.Sprintf("%s %s while tmcd: %s", s.verb, name, s.fault())
	case "full":
		return fmt.Sprintf("%s %s on a full disk", s.verb, name)
	case "relist":
		return fmt.Sprintf("tmcd lists %v", s.names())
	case "shape":
		return fmt.Sprintf("shape lan0 delay=%dms", s.n)
	}
	return fmt.Sprintf("%s %s (%d)", s.what, name, s.n)
}

// GoString is how rapid shows a step that was drawn.
func (s happening) GoString() string { return s.String() }

// names are the vnodes of a list.
func (s happening) names() (names []string) {
	for i, v := range modelVNodes {
		if s.set&(1<<i) != 0 {
			names = append(names, v.name)
		}
	}
	return names
}

// faults of tmcd, for so many requests where there is a number.
func (s happening) fault() string {
	return [...]string{"down", "down next=%", "reset bytes=0", "reset bytes=0 next=%", "refuse next=%", "delay delay=300ms"}[s.set%6]
}

// weights is how often each kind of step is drawn.
var weights = [...]struct {
	what string
	n    int
}{
	{"verb", 12}, {"wide", 2}, {"twice", 2}, {"relist", 2}, {"write", 5}, {"update", 2}, {"shape", 2},
	{"poweroff", 1}, {"reboot inside", 1}, {"kill init", 2}, {"kill serve", 2}, {"kill proxy", 2}, {"kill both", 2},
	{"kill delaynode", 1}, {"kill jailspawn", 1}, {"stop serve", 1},
	{"crash", 8}, {"wide crash", 1}, {"away", 3}, {"full", 5},
}

// happenings draws one. Any may happen in any state.
func happenings() *rapid.Generator[happening] {
	var kinds []string
	for _, w := range weights {
		for range w.n {
			kinds = append(kinds, w.what)
		}
	}
	return rapid.Custom(func(t *rapid.T) happening {
		s := happening{
			what:  rapid.SampledFrom(kinds).Draw(t, "what"),
			vnode: rapid.IntRange(0, len(modelVNodes)-1).Draw(t, "vnode"),
			verb:  rapid.SampledFrom([]string{boot, boot, halt, kill, reboot, setup}).Draw(t, "verb"),
			other: rapid.SampledFrom([]string{boot, halt, kill, reboot}).Draw(t, "other"),
			set:   uint(rapid.IntRange(1, 1<<len(modelVNodes)-1).Draw(t, "set")),
			n:     rapid.IntRange(1, 40).Draw(t, "n"),
		}
		if strings.HasPrefix(s.what, "wide") {
			s.verb = rapid.SampledFrom([]string{"", "--halt", "--kill", "--reboot", "--reconfig"}).Draw(t, "option")
		}
		return s
	})
}
