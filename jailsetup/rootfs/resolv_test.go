package rootfs

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// TestResolvConf: a jail never asks its own loop-back, nor a stub of the host's.
func TestResolvConf(t *testing.T) {
	const real = "# by systemd\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch a.example b.example\n"
	for _, row := range []struct {
		name, conf, resolved string
		served               bool
		want                 string
		stranded             bool
	}{
		{"as it is", "search example.org\noptions timeout:1\nnameserver 192.0.2.1\n", "", false,
			"search example.org\noptions timeout:1\nnameserver 192.0.2.1\n", false},
		{"loop-back", "nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.1", "", false,
			"nameserver 172.16.1.0\nnameserver 192.0.2.1\n", true},
		{"loop-back, and jails may ask", "nameserver 127.0.0.1\n", "", true, "nameserver 172.16.1.0\n", false},
		{"jails may ask here", "nameserver 192.0.2.1\n", "", true, "nameserver 172.16.1.0\nnameserver 192.0.2.1\n", false},
		{"stub of systemd", "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", real, false,
			"# by systemd\nsearch a.example b.example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n", false},
		{"stub without what it asks", "nameserver 127.0.0.53\n", "", false, "nameserver 172.16.1.0\n", true},
		{"no IPv6 on the control network", "nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver ::ffff:192.0.2.9\nnameserver\nnameserver x\n", "", false,
			"nameserver 192.0.2.9\n", false},
		{"none", "-", "", false, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := Names{Root: t.TempDir(), Host: netip.MustParseAddr("172.16.1.0"), Served: row.served}
			put := func(path, text string) {
				path = filepath.Join(n.Root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if row.conf != "-" {
				put("etc/resolv.conf", row.conf)
			}
			if row.resolved != "" { // as Debian has it
				put(resolvedServers, row.resolved)
				put("run/systemd/resolve/stub-resolv.conf", row.conf)
				conf := filepath.Join(n.Root, "etc/resolv.conf")
				if err := os.Remove(conf); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("../run/systemd/resolve/stub-resolv.conf", conf); err != nil {
					t.Fatal(err)
				}
			}
			got, err := n.resolvConf()
			if err != nil || string(got) != row.want {
				t.Errorf("%q, %v; want %q", got, err, row.want)
			}
			if stranded, err := n.Stranded(); err != nil || stranded != row.stranded {
				t.Errorf("stranded: %v, %v", stranded, err)
			}
		})
	}
}
