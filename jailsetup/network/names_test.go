package network

import (
	"fmt"
	"strings"
	"testing"
)

// Every host end's name is short enough, and no two are the same: many jails,
// ids as long as may be, many interfaces, many boots (T20, T22).
func TestHostEndNames(t *testing.T) {
	seen := map[string]string{}
	add := func(vnode string, index int, generation uint64) {
		t.Helper()
		name, err := hostEnd(vnode, index, generation)
		if err != nil {
			t.Fatal(err)
		}
		if len(name) > maxIfName {
			t.Errorf("%s: %d bytes", name, len(name))
		}
		who := fmt.Sprint(vnode, " ", index, " ", generation)
		if other, ok := seen[name]; ok {
			t.Errorf("%s is %s and %s", name, other, who)
		}
		seen[name] = who
		if again, _ := hostEnd(vnode, index, generation); again != name {
			t.Errorf("%s: %s, then %s", who, name, again)
		}
		if !strings.HasPrefix(name, vnodeMark(vnode)) {
			t.Errorf("%s lacks the mark of %s", name, vnode)
		}
	}
	long := strings.Repeat("n", 26)
	for n := range 254 {
		for index := range 21 {
			add(fmt.Sprintf("pcvm1-%d", n+1), index, 1)
			add(fmt.Sprintf("%s-%d", long, n+1), index, 1)
		}
	}
	for generation := uint64(2); generation < 2000; generation++ {
		add("pcvm1-1", 0, generation)
	}
	add("pcvm1-1", maxIndex, generations-1)
	for _, row := range []struct {
		name, vnode string
		index       int
	}{{"no id", "", 0}, {"index below", "x", -1}, {"index above", "x", maxIndex + 1}} {
		if got, err := hostEnd(row.vnode, row.index, 1); err == nil {
			t.Errorf("%s: got %s, want an error", row.name, got)
		}
	}
}

// Names of bridges and pins say what they are, whatever a LAN or an experiment
// is called.
func TestReadableNames(t *testing.T) {
	for _, row := range []struct{ lan, begins string }{
		{"lan0", "lan0-"}, {"link-with-a-long-name", "link_wit-"}, {"../../etc", "______et-"}, {"", "x-"}, {"a b\n", "a_b_-"},
	} {
		got := bridgeName(row.lan)
		if !strings.HasPrefix(got, row.begins) || checkIfName(got) != nil {
			t.Errorf("bridge of %q: %q, want %s…", row.lan, got, row.begins)
		}
	}
	if bridgeName("link-with-a-1") == bridgeName("link-with-a-2") {
		t.Error("two LANs share a bridge")
	}
	for _, row := range []struct{ experiment, begins string }{
		{"proj/exp", "x-proj_exp-"}, {"../..", "x-_____-"}, {strings.Repeat("p", 200), "x-pppp"},
	} {
		got := experimentPin(row.experiment)
		if !strings.HasPrefix(got, row.begins) || strings.ContainsAny(got, "/.") || len(got) > 60 {
			t.Errorf("pin of %q: %q, want %s…", row.experiment, got, row.begins)
		}
	}
	if experimentPin("a/b_c") == experimentPin("a_b/c") {
		t.Error("two experiments share a namespace")
	}
}

func TestLinkMACs(t *testing.T) {
	if m := hostEndMAC("v1"); m.Validate() != nil || m == hostEndMAC("v2") || m[0] != 0xfe {
		t.Errorf("MAC of a host end: %s", m)
	}
}
