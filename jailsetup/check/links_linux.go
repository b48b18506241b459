package check

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"emujail/jailsetup/network"
)

// probeLinks makes a bridge and a veth pair in a network namespace of its own.
func probeLinks() error { return network.InNew(makeLinks) }

func makeLinks() error {
	bridge := netlink.NewLinkAttrs()
	bridge.Name = "probe-br"
	pair := netlink.NewLinkAttrs()
	pair.Name = "probe-a"
	return errors.Join(
		named("bridge", netlink.LinkAdd(&netlink.Bridge{LinkAttrs: bridge})),
		named("veth", netlink.LinkAdd(&netlink.Veth{LinkAttrs: pair, PeerName: "probe-b"})),
	)
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("make a %s: %w", what, err)
	}
	return nil
}
