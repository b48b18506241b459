package main

import (
	"strings"
	"testing"

	"emujail/jailsetup/lab"
)

// What up tells to get in by is what works.
func TestWaysIn(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		v          lab.VNode
	}{
		{"a user with a key", "jailsetup enter a, or ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ann@172.16.1.1 from this host",
			lab.VNode{ID: "v1", Name: "a", Addr: "172.16.1.1", SSH: "ann"}},
		{"nobody has one", "jailsetup enter a", lab.VNode{ID: "v1", Name: "a", Addr: "172.16.1.1"}},
		{"no address of its own", "jailsetup enter a", lab.VNode{ID: "v1", Name: "a", SSH: "ann"}},
	} {
		var out strings.Builder
		if err := describe(&out, lab.Testbed{VNodes: []lab.VNode{tt.v}}, nil); err != nil || !strings.HasSuffix(out.String(), "\nTo get in: "+tt.want+". To end: jailsetup down.\n") {
			t.Errorf("%s: %v: %s", tt.name, err, out.String())
		}
	}
}
