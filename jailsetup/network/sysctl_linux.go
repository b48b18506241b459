package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sysctl is one line of a namespace's settings: the path below /proc/sys/net.
type sysctl struct {
	path, value string
	optional    bool // the kernel may lack it (IPv6 off, br_netfilter not loaded)
}

// writeSysctls writes the settings of the calling thread's namespace.
func writeSysctls(settings []sysctl) error {
	for _, s := range settings {
		err := writeSysctl(s.path, s.value)
		if err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

func writeSysctl(path, value string) error {
	f, err := os.OpenFile(filepath.Join("/proc/sys/net", path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set net/%s to %s: %w", path, value, err)
	}
	return nil
}

// quietSysctls are for namespaces of ours, before a link is in them: nothing
// configures itself, nothing is learnt from a jail, and no bridged frame is
// shown to the IP hooks, where conntrack and a firewall would see it.
func quietSysctls() []sysctl {
	return []sysctl{
		{"ipv6/conf/all/disable_ipv6", "1", true},
		{"ipv6/conf/default/disable_ipv6", "1", true},
		{"ipv6/conf/all/accept_ra", "0", true},
		{"ipv6/conf/default/accept_ra", "0", true},
		{"ipv4/conf/all/accept_redirects", "0", false},
		{"ipv4/conf/default/accept_redirects", "0", false},
		{"ipv4/conf/all/send_redirects", "0", false},
		{"ipv4/conf/default/send_redirects", "0", false},
		{"ipv4/conf/all/accept_source_route", "0", false},
		{"ipv4/conf/default/accept_source_route", "0", false},
		{"ipv4/conf/all/route_localnet", "0", false},
		{"ipv4/conf/all/proxy_arp", "0", false},
		{"ipv4/conf/default/proxy_arp", "0", false},
		{"bridge/bridge-nf-call-iptables", "0", true},
		{"bridge/bridge-nf-call-ip6tables", "0", true},
		{"bridge/bridge-nf-call-arptables", "0", true},
	}
}
