package main

import (
	"strings"
	"testing"

	"emujail/jailsetup/injail/summary"
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

// What a vnode couldn't do is said in numbers, and nothing if it could do all.
func TestFailures(t *testing.T) {
	done, broken := summary.Result{Step: "accounts", Status: summary.OK}, summary.Result{Step: "tarballs\n", Status: summary.Failed, Why: "\x1b"}
	for _, tt := range []struct {
		inside *summary.Summary
		want   string
	}{
		{nil, ""},
		{&summary.Summary{Steps: []summary.Result{done}}, ""},
		{&summary.Summary{Steps: []summary.Result{done, broken, done}},
			"jailsetup: 1 of 3 steps of node-a's configuration failed (jailsetup status node-a tells which; up --files serves what tarballs name)\n"},
	} {
		if got := failures(vnodeStatus{Inside: tt.inside}, "node-a"); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
