package check

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/network"
)

// probeLinks makes a bridge and a veth pair, an isolated port, in a network namespace of its own.
func probeLinks() error { return network.InNew(makeLinks) }

func makeLinks() error {
	bridge := netlink.NewLinkAttrs()
	bridge.Name = "probe-br"
	pair := netlink.NewLinkAttrs()
	pair.Name = "probe-a"
	br := &netlink.Bridge{LinkAttrs: bridge}
	err := errors.Join(
		named("make a bridge", netlink.LinkAdd(br)),
		named("make a veth", netlink.LinkAdd(&netlink.Veth{LinkAttrs: pair, PeerName: "probe-b"})),
	)
	if err != nil {
		return err
	}
	port, err := netlink.LinkByName(pair.Name)
	if err != nil {
		return err
	}
	return errors.Join(
		named("put a veth on a bridge", netlink.LinkSetMaster(port, br)),
		named("isolate a bridge's port", netlink.LinkSetIsolated(port, true)),
	)
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
