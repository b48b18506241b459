package check

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// probeLinks makes a bridge and a veth pair in a network namespace of its own,
// which goes with the thread that it was made on.
func probeLinks() error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never given back: the thread ends with its namespace
		done <- makeLinks()
	}()
	return <-done
}

func makeLinks() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
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
