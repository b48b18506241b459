package steps

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"emujail/protocol"
)

// wasUp exists once ISUP was reported in this boot.
const wasUp = "/run/injail/up"

// errReboot ends a boot that has to begin anew: without a state, since tmcd
// hears of the next one.
var errReboot = errors.New("an alias is new to the host, which makes interfaces before this jail starts")

// aliases looks whether the interfaces have the further addresses that tmcd
// told us of. The host makes interfaces and keeps strangers' addresses off
// them; tmcd tells it of aliases only where it asks in our place, and to spare
// every other vnode that question it asks after a reboot (package jail,
// asksAliases). So a boot that finds one missing begins anew, once, before
// anybody works here. In a node that is up nobody's work is ended for it.
func aliases(_ context.Context, r *Run) error {
	missing, err := r.missingAliases()
	if err != nil || len(missing) == 0 {
		return err
	}
	what := strings.Join(missing, ", ")
	if r.Conf.Aliases == "asked" {
		return errors.New("the host hasn't made " + what)
	}
	if r.isUp() || r.Reboot == nil {
		return errors.New("there at the next reboot: " + what)
	}
	r.say("%s: not there yet", what)
	return errReboot
}

// missingAliases are the addresses of alias records that no interface has.
func (r *Run) missingAliases() ([]string, error) {
	reply, err := r.cached("ifconfig")
	if err != nil || len(reply) == 0 {
		return nil, unless(err, "no aliases")
	}
	all, err := protocol.ParseIfConfig(reply)
	r.warnAll(err)
	wanted := slices.DeleteFunc(all.Interfaces, func(i protocol.Interface) bool { return i.Type != "alias" })
	if len(wanted) == 0 {
		return nil, skipped("no aliases")
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, i := range wanted {
		addr, err := netip.ParseAddr(i.INET)
		if err == nil && !slices.ContainsFunc(own, func(a net.Addr) bool { return strings.HasPrefix(a.String(), addr.String()+"/") }) {
			missing = append(missing, "alias "+addr.String())
		}
	}
	return missing, nil
}

// sigReboot tells the jail's first process to reboot (SIGRTMIN+5).
const sigReboot = syscall.Signal(34 + 5)

func rebootJail() error { return syscall.Kill(1, sigReboot) }
