package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Listing is all that this package has on the host, a line each, sorted: pinned
// namespaces, and in each the links, addresses, routes, fixed neighbours and
// set elements; the uplink in the caller's namespace. Two listings are equal if
// nothing was left between them. It is empty on a host without jails.
func Listing(ctx context.Context, runDir string) ([]string, error) {
	lines, err := uplinkLines()
	if err != nil {
		return nil, err
	}
	pins, err := os.ReadDir(pinDir(runDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, p := range pins {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		more, err := namespaceLines(runDir, p.Name())
		if err != nil {
			return nil, fmt.Errorf("list namespace %s: %w", p.Name(), err)
		}
		lines = append(lines, more...)
	}
	slices.Sort(lines)
	return lines, nil
}

func uplinkLines() ([]string, error) {
	h, err := newRouteHandle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	links, err := whole(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var lines []string
	for _, l := range links {
		if l.Attrs().Alias != uplinkAlias {
			continue
		}
		more, err := linkLines(h, l)
		if err != nil {
			return nil, err
		}
		for _, line := range more {
			lines = append(lines, "host: "+line)
		}
	}
	return lines, nil
}

func namespaceLines(runDir, pin string) ([]string, error) {
	ns, err := openPin(runDir, pin)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{pin + ": pin without a namespace"}, nil
	}
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	lines := []string{pin + ": namespace"}
	err = In(ns, func() error {
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		links, err := whole(h.LinkList)
		if err != nil {
			return fmt.Errorf("list links: %w", err)
		}
		for _, l := range links {
			if isFallback(l) || l.Attrs().Name == "lo" {
				continue
			}
			more, err := linkLines(h, l)
			if err != nil {
				return err
			}
			for _, line := range more {
				lines = append(lines, pin+": "+line)
			}
		}
		sets, err := setLines()
		for _, line := range sets {
			lines = append(lines, pin+": "+line)
		}
		return err
	})
	return lines, err
}

func linkLines(h *netlink.Handle, l netlink.Link) ([]string, error) {
	a := l.Attrs()
	lines := []string{fmt.Sprintf("link %s (%s) %s", a.Name, a.Alias, a.HardwareAddr)}
	addrs, err := h.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", a.Name, err)
	}
	for _, x := range addrs {
		lines = append(lines, fmt.Sprintf("address %s dev %s", x.IPNet, a.Name))
	}
	routes, err := h.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes of %s: %w", a.Name, err)
	}
	for _, r := range routes {
		lines = append(lines, fmt.Sprintf("route %s via %v dev %s", r.Dst, r.Gw, a.Name))
	}
	neighbours, err := h.NeighList(a.Index, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list neighbours of %s: %w", a.Name, err)
	}
	for _, n := range neighbours {
		if n.State&netlink.NUD_PERMANENT != 0 {
			lines = append(lines, fmt.Sprintf("neighbour %s %s dev %s", n.IP, n.HardwareAddr, a.Name))
		}
	}
	return lines, nil
}

// setLines lists the elements of all sets of ours in the calling thread's
// namespace. Those of dynamic sets come and go with traffic, and don't count.
func setLines() ([]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables socket: %w", err)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var lines []string
	for _, t := range tables {
		sets, err := conn.GetSets(t)
		if err != nil {
			return nil, fmt.Errorf("list sets of %s: %w", t.Name, err)
		}
		lines = append(lines, fmt.Sprintf("table %s of family %d", t.Name, t.Family))
		for _, s := range sets {
			if s.Dynamic {
				continue
			}
			list, err := elements(s)
			if err != nil {
				return nil, err
			}
			for _, e := range list {
				lines = append(lines, fmt.Sprintf("set %s: %s", s.Name, keyText(e.Key)))
			}
		}
	}
	return lines, nil
}

// keyText shows a key: the device if it begins with one, the address if it ends
// with one, the bytes between in hex.
func keyText(k []byte) string {
	var words []string
	if len(k) >= 16 && k[0] == 'v' {
		words = append(words, strings.TrimRight(string(k[:16]), "\x00"))
		k = k[16:]
	}
	if len(k) == 4 || len(k) == 12 || len(k) == 20 {
		addr := netip.AddrFrom4([4]byte(k[len(k)-4:])).String()
		if rest := k[:len(k)-4]; len(rest) > 0 {
			words = append(words, fmt.Sprintf("%x", rest))
		}
		return strings.Join(append(words, addr), " ")
	}
	return strings.Join(append(words, fmt.Sprintf("%x", k)), " ")
}
