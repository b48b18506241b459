//go:build linux && privileged

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"emujail/jailsetup/jail"
)

// TestReconfigKillsNobodyByHalfAList: a list of vnodes that is cut short, or empty
// because tmcd ended while it answered, destroys no disk; one that is whole does.
func TestReconfigKillsNobodyByHalfAList(t *testing.T) {
	r := newRig(t, set{plain: true}) // over TLS a list that is cut in two is seen to be
	a, b := r.vnodes[0], r.vnodes[1]
	r.boot(a)
	r.boot(b)
	boots := func() (all string) {
		for _, v := range r.vnodes {
			all += fmt.Sprintf("%s %d, ", v, r.phase(v, jail.Up).Boot)
		}
		return all
	}
	before := boots()
	cut := fmt.Sprintf("cut command=vnodelist bytes=%d", len("VNODEID="+a+" JAILED=1\n"))
	for _, c := range []struct {
		name   string
		faults []string
		says   string
	}{
		{"empty", []string{"empty command=vnodelist"}, a + ", which by its status is in jails/demo"},
		{"cut at a line's end", []string{cut}, b + ", which by its status is in jails/demo"},
		{"cut, then whole", []string{cut + " next=1", "refuse command=status node=" + b}, "its list is another one"},
		{"cut, and tmcd tells no status", []string{cut, "refuse command=status"}, "none of " + a},
		{"empty, and tmcd tells no status", []string{"empty command=vnodelist", "refuse command=status"}, "jailsetup bootvnodes --kill"},
		{"cut, and the status is garbage", []string{cut, "garbage command=status"}, b + ", which tmcd's list lacks"},
		{"broken off", []string{"reset command=vnodelist"}, "cannot list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range c.faults {
				r.fault(f)
			}
			out := r.jailsetup("bootvnodes", "--reconfig")
			if said := out.complaint(); out.code != 1 || !strings.Contains(said, c.says) || !strings.Contains(said, "nothing was changed") {
				t.Errorf("exit code %d: %s", out.code, out.stderr)
			}
			if now := boots(); now != before {
				t.Errorf("were %s are %s", before, now)
			}
			if out := r.run("tmcd-mock", "fault", "clear", "--manage", r.path("mock")); out.code != 0 {
				t.Fatal(out.err())
			}
		})
	}
	relist := func(old, new string) {
		t.Helper()
		text := regexp.MustCompile(old).ReplaceAllString(r.text("testbed.yaml"), new)
		r.write("testbed.yaml", text)
		if out := r.run("tmcd-mock", "reload", "--manage", r.path("mock")); out.code != 0 {
			t.Fatal(out.err())
		}
	}
	t.Run("one that is listed without a jail is killed", func(t *testing.T) {
		relist("(?m)^  "+b+": {", "  "+b+": {jailed: false, ")
		r.must("bootvnodes", "--reconfig")
		if _, there := r.info(b); there {
			t.Error("it is here still")
		}
		r.phase(a, jail.Up)
		relist("jailed: false, ", "")
		r.boot(b)
	})
	t.Run("one that tmcd doesn't know any more is killed", func(t *testing.T) {
		relist(", node-b: 10.1.1.3", "")
		relist("(?m)^  "+b+":.*$", "")
		r.must("bootvnodes", "--reconfig")
		if _, there := r.info(b); there {
			t.Error("it is here still")
		}
		r.phase(a, jail.Up)
	})
	t.Run("the last one, which is free, is killed by an empty list", func(t *testing.T) {
		relist("lan0: .*", "")
		relist("    lans:\\n", "")
		relist("(?m)^  "+r.free+":.*$", "")
		relist("experiment: jails/demo, name: node-a, ", "")
		if out := r.jailsetup("bootvnodes", "--reboot"); out.code != 1 || !strings.Contains(out.stderr, "1 of 1 vnodes failed: cannot reboot "+a+": not allocated") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.must("bootvnodes", "--reconfig")
		r.noJailLeft()
	})
}
