package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"emujail/protocol"
)

const (
	hostsFile     = "/etc/hosts"
	hostsOriginal = "/etc/emulab/hosts" // what reset puts back

	// hostsMark ends the line that PID 1 makes and leaves to us if it's right.
	hostsMark = "# this jail"
)

// hostNames writes /etc/hosts: loop-back, ourselves on the control network,
// then the experiment's interfaces (jail.md §3.7). No names: no change.
func hostNames(ctx context.Context, r *Run) error {
	reply, err := r.ask(ctx, "hostnames")
	if err != nil {
		return err
	}
	names, err := protocol.ParseHostNames(reply)
	r.warnAll(err)
	if len(names) == 0 {
		return skipped("no host names")
	}
	if err := r.keepOriginal(); err != nil {
		return err
	}
	changed, err := r.put(hostsFile, r.hosts(names), 0o644, false)
	if changed {
		r.did("%s: %d names", hostsFile, len(names))
	}
	return err
}

// hosts renders the file. A name or address that isn't one would be a line of
// somebody else's making: it's left out with a warning.
func (r *Run) hosts(names []protocol.HostName) []byte {
	local := "localhost loghost"
	if domain := r.Conf.Domain; hostName(domain) {
		local += " localhost." + domain
	}
	b := fmt.Appendf(nil, "127.0.0.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n", local)
	if addr, err := netip.ParseAddr(r.Conf.JailIP); err == nil && hostName(r.Conf.HostName) {
		b = fmt.Appendf(b, "%s\t%s %s\n", addr, r.Conf.HostName, hostsMark)
	}
	for _, h := range names {
		addr, err := netip.ParseAddr(h.IP)
		if err != nil || !hostName(h.Name) {
			r.warn("host name %q with address %q left out", h.Name, h.IP)
			continue
		}
		words := []string{h.Name}
		for _, a := range h.Aliases {
			if hostName(a) {
				words = append(words, a)
			}
		}
		b = fmt.Appendf(b, "%s\t%s\n", addr, strings.Join(words, " "))
	}
	return b
}

// hostName says whether s can stand in /etc/hosts.
func hostName(s string) bool {
	return s != "" && len(s) < 256 && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	})
}

// keepOriginal copies the file as it was before we first wrote it.
func (r *Run) keepOriginal() error {
	if _, err := os.Lstat(r.path(hostsOriginal)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := os.ReadFile(r.path(hostsFile))
	if errors.Is(err, fs.ErrNotExist) {
		old = []byte("127.0.0.1\tlocalhost loghost\n")
	} else if err != nil {
		return err
	}
	_, err = r.put(hostsOriginal, old, 0o644, false)
	return err
}

func resetHostNames(_ context.Context, r *Run) error {
	old, err := os.ReadFile(r.path(hostsOriginal))
	if errors.Is(err, fs.ErrNotExist) {
		return skipped("never written")
	}
	if err != nil {
		return err
	}
	_, err = r.put(hostsFile, old, 0o644, false)
	return err
}
