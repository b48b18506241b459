//go:build linux && privileged

package shape

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/plan"
)

// TestCapture: what a capture socket sends doesn't arrive, however the link is
// shaped, and by whom; without the guard of a shaped one it would.
func TestCapture(t *testing.T) {
	r := newRig(t, 2)
	a, b := r.jails[0], r.jails[1]
	end, err := network.ExperimentLink{
		RunDir: r.runDir, Experiment: experiment, VNode: a.link.Splice.VNode, Name: "eth1", Index: 1, Generation: 1,
	}.HostEnd()
	if err != nil {
		t.Fatal(err)
	}
	step := permit.Capture{Ends: []network.HostEnd{end}}
	if err := step.Do(r.ctx, &plan.State{NetNS: a.ns}); err != nil {
		t.Fatal(err)
	}
	sniff, send, ordinary := packetSocket(t, b), packetSocket(t, a), a.udp(t)
	arrives := func() bool {
		t.Helper()
		r.roundTrip(a, b)
		_, _ = unix.Write(send, frame(a.link.Splice.MAC, "injected")) // refused at once, or lost on the way
		to := &net.UDPAddr{IP: b.addr.AsSlice(), Port: 9}
		if _, err := ordinary.WriteTo([]byte("ordinary"), to); err != nil {
			t.Fatal(err)
		}
		seen := sniffed(sniff, "ordinary", "injected")
		if !seen["ordinary"] {
			t.Error("an ordinary packet doesn't arrive")
		}
		return seen["injected"]
	}
	guarded := 0
	guard := func(l Link) error {
		guarded++
		return permit.CaptureInside{Links: []string{l.Interface}}.Attach(a.ns)
	}
	for _, row := range []struct {
		words string
		guard func(Link) error
		want  bool
	}{
		{"", nil, false},
		{"rate=100Mb", func(Link) error { return nil }, false}, // by the kernel: after the filter
		{"delay=1ms", func(Link) error { return nil }, true},   // by the node, not guarded: the proof
		{"delay=2ms", guard, false},
		{"delay=0 rate=10Mb", guard, false},
	} {
		if row.words != "" {
			r.keeper.guard = row.guard
			r.change("node-a", strings.Fields(row.words)...)
		}
		if got := arrives(); got != row.want {
			t.Errorf("shaped %q: a frame by a capture socket arrives: %t, want %t", row.words, got, row.want)
		}
	}
	if guarded != 2 {
		t.Errorf("guarded %d times, want at each of two changes", guarded)
	}
}
