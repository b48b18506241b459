//go:build linux && privileged

package e2e

import "testing"

// TestS7NoOtherJailInSys: a loop device's file names a jail, and where the host
// keeps its disks. Nobody inside sees one.
func TestS7NoOtherJailInSys(t *testing.T) {
	r := newRig(t, set{})
	r.boot(r.vnodes[0])
	r.boot(r.vnodes[1])
	const line = "cat /sys/block/*/loop/backing_file /sys/devices/virtual/block/*/loop/backing_file 2>/dev/null; true"
	if got := r.enter(r.vnodes[0], "sh", "-c", line); got != "" {
		t.Errorf("a jail sees disks of jails: %q", got)
	}
}
