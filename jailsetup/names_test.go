package main

import (
	"strings"
	"testing"
)

// TestFind: an id, a name, a name in full; of two with one name both are named.
func TestFind(t *testing.T) {
	all := []named{
		{"pcvm1-1", "node-a", "demo", "jails"},
		{"pcvm1-2", "node-b", "demo", "jails"},
		{"pcvm1-3", "node-a", "other", "jails"},
		{"pcvm1-4", "", "", ""},
		{"pcvm1-5", "pcvm1-1", "demo", "jails"},
		{"pcvm1-6", "pcvm2-7", "demo", "jails"},
	}
	for _, tt := range []struct{ word, id, err string }{
		{"pcvm1-2", "pcvm1-2", ""},
		{"node-b", "pcvm1-2", ""},
		{"node-a", "", "node-a is the name of 2 vnodes here: node-a.demo.jails (pcvm1-1), node-a.other.jails (pcvm1-3): which?"},
		{"node-a.other.jails", "pcvm1-3", ""},
		{"node-a.jails.other", "", ""},
		{"pcvm1-1", "pcvm1-1", ""},
		{"pcvm1-1.demo.jails", "pcvm1-5", ""},
		{"pcvm2-7", "", ""}, // an id that isn't here, whatever is called so
		{"pcvm2-7.demo.jails", "pcvm1-6", ""},
		{"pcvm1-4", "pcvm1-4", ""},
		{"node-c", "", ""},
		{"", "", ""},
	} {
		id, err := find(all, tt.word)
		if said := errorText(err); id != tt.id || said != tt.err {
			t.Errorf("%q: %q, %s; want %q, %s", tt.word, id, said, tt.id, tt.err)
		}
	}
}

// TestCheckWord: what may be an id or a name, and nothing that is a path.
func TestCheckWord(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, good := range []string{"pcvm1-1", "node-a", "node_a.demo.jails", long} {
		if err := checkWord(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-x", "../etc", "a/b", "a.b", "a.b.c.d", "a..b", "...", "a.b.c\n", "x" + long} {
		if checkWord(bad) == nil {
			t.Errorf("%q may be a vnode", bad)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
