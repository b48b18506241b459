package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"emujail/protocol"
)

// Snap lengths where the record has none (jail.md §3.8), in bytes.
const (
	snapHeader = 64
	snapPacket = 1518
)

// trace starts a capture for each direction of each traced link, by tcpdump
// where the root has it, into /local/logs. Needs the jail's permission BPFRO.
func trace(_ context.Context, r *Run) error {
	reply, err := r.cached("traceinfo")
	if err != nil {
		return err
	}
	list, err := protocol.ParseTraces(reply)
	r.warnAll(err)
	if len(list) == 0 {
		return unless(r.endTraces(nil), "no traces")
	}
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		r.lacks("%d traces: this root has no tcpdump", len(list))
		return fmt.Errorf("no traces: %w", err)
	}
	var errs []error
	var names []string
	for _, t := range list {
		for _, dir := range []string{"recv", "xmit"} {
			name := fmt.Sprintf("trace-%s-%s.%s", t.VNode, t.LinkName, dir)
			names = append(names, name)
			if err := r.capture(tcpdump, name, dir, t); err != nil {
				errs = append(errs, fmt.Errorf("trace of %s: %w", t.LinkName, err))
			}
		}
	}
	return errors.Join(append(errs, r.endTraces(names))...)
}

func (r *Run) capture(tcpdump, name, dir string, t protocol.Trace) error {
	if !ofChars(t.VNode, "-_") || !ofChars(t.LinkName, "-_") {
		return errors.New("names hold other characters than [-A-Za-z0-9_]")
	}
	// tmcd names the vnode's interface as the link's first end; VNODE_MAC is of
	// traces that another node makes for it.
	dev, err := deviceWith(cmp.Or(t.VNodeMAC, t.MAC0))
	if err != nil {
		return err
	}
	snap := snapHeader
	if t.Type == "packet" {
		snap = snapPacket
	}
	if t.SnapLen != "" {
		if snap, err = strconv.Atoi(t.SnapLen); err != nil || snap < 0 {
			return fmt.Errorf("snap length %q: want bytes", t.SnapLen)
		}
	}
	way := map[string]string{"recv": "in", "xmit": "out"}[dir]
	file := r.path(fmt.Sprintf("%s/trace_%s-%s.%s", localLog, t.VNode, t.LinkName, dir))
	argv := []string{tcpdump, "-n", "-U", "-Z", "root", "-i", dev, "-Q", way, "-s", strconv.Itoa(snap), "-w", file}
	if t.Expr != "" {
		argv = append(argv, "--", t.Expr)
	}
	return r.daemon(name, logDir+"/trace.debug", argv...)
}

// deviceWith finds an interface by its MAC address, 12 hex digits with or
// without colons.
func deviceWith(mac string) (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
	i := slices.IndexFunc(all, func(f net.Interface) bool {
		return mac != "" && plain(f.HardwareAddr.String()) == plain(mac)
	})
	if i < 0 {
		return "", fmt.Errorf("no interface with address %q", mac)
	}
	return all[i].Name, nil
}

// endTraces ends all captures but these.
func (r *Run) endTraces(keep []string) error {
	var errs []error
	for _, name := range r.daemons("trace-") {
		if !slices.Contains(keep, name) {
			errs = append(errs, r.endDaemon(name))
		}
	}
	return errors.Join(errs...)
}

func stopTrace(_ context.Context, r *Run) error { return r.endTraces(nil) }
