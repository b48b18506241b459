//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"emujail/jailsetup/jail"
)

// TestBootOrder: a host boots the vnodes of its list in the order of their numbers,
// as many at a time as the site file says (jail.md §10, row 1). How many are at a
// time shows in tmcd's journal: each is between BOOTING and its configuration while
// tmcd is slow to say which experiment it is in.
func TestBootOrder(t *testing.T) {
	for _, most := range []int{1, 2} {
		t.Run(fmt.Sprintf("boots_at_once %d", most), func(t *testing.T) {
			r := newRig(t, set{site: fmt.Sprintf("boots_at_once: %d\ngrace: 100ms", most), testbed: moreVNodes})
			v := r.vnodes[0]
			all := []string{v, r.vnodes[1], v + "0", v + "1", v + "2"}
			r.fault("delay command=status delay=300ms")
			r.must("bootvnodes")
			for _, v := range all {
				r.phase(v, jail.Up)
			}
			began, overlap := r.boots()
			if overlap != most {
				t.Errorf("%d at a time, want %d", overlap, most)
			}
			if most == 1 && !slices.Equal(began, all) {
				t.Errorf("began with %v, want %v", began, all)
			}
			for i, v := range began { // who are begun together come in any order
				if at := slices.Index(all, v); at <= i-most || at >= i+most {
					t.Errorf("%s is number %d to begin, with %d at a time: %v", v, i, most, began)
				}
			}
		})
	}
}

// TestOneBootAtATime: the bound holds for boots that are asked for apart, too.
func TestOneBootAtATime(t *testing.T) {
	r := newRig(t, set{site: "boots_at_once: 1\ngrace: 100ms"})
	r.fault("delay command=status delay=300ms")
	var all sync.WaitGroup
	for _, v := range r.vnodes {
		all.Go(func() { r.jailsetup("boot", v) })
	}
	all.Wait()
	for _, v := range r.vnodes {
		r.phase(v, jail.Up)
	}
	if began, overlap := r.boots(); len(began) != 2 || overlap != 1 {
		t.Errorf("began with %v, %d at a time", began, overlap)
	}
}

// boots are the vnodes in the order in which they said BOOTING, and how many at most
// had said so and not yet asked for their configuration.
func (r *rig) boots() (began []string, overlap int) {
	r.t.Helper()
	out := r.run("tmcd-mock", "log", "--json", "--manage", r.path("mock"))
	if out.code != 0 {
		r.t.Fatal(out.err())
	}
	under := map[string]bool{}
	for line := range strings.Lines(out.stdout) {
		var e struct{ Kind, Node, Text, Command string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			r.t.Fatalf("%q: %v", line, err)
		}
		switch {
		case e.Kind == "report" && e.Text == "BOOTING":
			began = append(began, e.Node)
			under[e.Node] = true
		case e.Command == "fullconfig":
			delete(under, e.Node)
		}
		overlap = max(overlap, len(under))
	}
	return began, overlap
}
