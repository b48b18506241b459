package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names says where jails ask for names. The zero value is for a jail that asks
// nobody.
type Names struct {
	Root   string     // of the host whose resolv.conf counts: an image's was written elsewhere
	Host   netip.Addr // where jails reach this host
	Served bool       // it answers them there
}

// The resolver of systemd listens where no jail reaches it, and keeps what it
// asks itself in a file of its own (systemd-resolved(8)).
const resolvedServers = "run/systemd/resolve/resolv.conf"

var resolvedStubs = []netip.Addr{netip.MustParseAddr("127.0.0.53"), netip.MustParseAddr("127.0.0.54")}

// resolvConf is a jail's resolv.conf: the host's, with this host's address for
// a server on its loop-back, which inside is the jail's own (jail.md §2.5, 17).
func (n Names) resolvConf() ([]byte, error) {
	text, err := n.hostsText()
	if err != nil {
		return nil, err
	}
	var servers []netip.Addr
	var rest bytes.Buffer
	if n.Served {
		servers = append(servers, n.Host)
	}
	for line := range strings.Lines(text) {
		server, is := nameServer(line)
		if !is {
			rest.WriteString(strings.TrimRight(line, "\n") + "\n")
			continue
		}
		if server.IsLoopback() {
			server = n.Host
		}
		if server.Is4() && !slices.Contains(servers, server) { // jails reach nobody by IPv6
			servers = append(servers, server)
		}
	}
	for _, s := range servers {
		fmt.Fprintf(&rest, "nameserver %s\n", s)
	}
	return rest.Bytes(), nil
}

// hostsText is the host's own resolv.conf, or systemd's in place of one that
// names its stub; empty if there is none.
func (n Names) hostsText() (string, error) {
	if n.Root == "" {
		return "", nil
	}
	text, err := readConf(filepath.Join(n.Root, "etc/resolv.conf"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if server, _ := nameServer(line); slices.Contains(resolvedStubs, server) {
			real, err := readConf(filepath.Join(n.Root, resolvedServers))
			if err != nil || real == "" {
				return text, err
			}
			return real, nil
		}
	}
	return text, nil
}

func readConf(path string) (string, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case len(data) > maxFileBytes:
		return "", fmt.Errorf("%s: more than %d bytes", path, maxFileBytes)
	}
	return string(data), nil
}

// nameServer is the server that a line of resolv.conf names. One that is no
// address, or has a zone, is no server of a jail's.
func nameServer(line string) (server netip.Addr, is bool) {
	f := strings.Fields(line)
	if len(f) == 0 || f[0] != "nameserver" {
		return netip.Addr{}, false
	}
	if len(f) > 1 {
		server, _ = netip.ParseAddr(f[1])
	}
	return server.Unmap(), true
}

// Stranded tells whether jails are sent to this host for names although it
// doesn't answer them: its own server listens on the loop-back.
func (n Names) Stranded() (bool, error) {
	text, err := n.hostsText()
	if err != nil || n.Served {
		return false, err
	}
	for line := range strings.Lines(text) {
		if server, _ := nameServer(line); server.IsLoopback() {
			return true, nil
		}
	}
	return false, nil
}
