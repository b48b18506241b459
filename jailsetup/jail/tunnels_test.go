package jail

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/protocol"
)

// recordedTunnel is one end as tmcd sends it, of a style and to a far end.
func recordedTunnel(style, far string) string {
	text := `TUNNEL=600 MEMBER=1 KEY='tunnel_dstip' VALUE='` + far + `'
TUNNEL=600 MEMBER=1 KEY='tunnel_ip' VALUE='10.1.5.2'
TUNNEL=600 MEMBER=1 KEY='tunnel_ipmask' VALUE='255.255.255.0'
TUNNEL=600 MEMBER=1 KEY='tunnel_isserver' VALUE='1'
TUNNEL=600 MEMBER=1 KEY='tunnel_lan' VALUE='tun-ab'
TUNNEL=600 MEMBER=1 KEY='tunnel_mac' VALUE='020a01050201'
TUNNEL=600 MEMBER=1 KEY='tunnel_peerip' VALUE='10.1.5.3'
TUNNEL=600 MEMBER=1 KEY='tunnel_secretkey' VALUE='0011223344556677'
TUNNEL=600 MEMBER=1 KEY='tunnel_srcip' VALUE='192.0.2.1'
`
	if style != "" {
		text += "TUNNEL=600 MEMBER=1 KEY='tunnel_style' VALUE='" + style + "'\n"
	}
	return text
}

// A tunnel is carried where the site says so, missing where it says so, and
// else fails the boot.
func TestTunnelLinks(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.2")
	carried := NetSite{Tunnels: "vxlan", Peers: []netip.Addr{peer, netip.MustParseAddr("192.0.2.4")}}
	for _, row := range []struct {
		name, style, far string
		site             NetSite
		want             string // links; missing; or part of the error
	}{
		{"refused", "gre", "192.0.2.2", NetSite{}, "tunnel tun-ab (gre) is not provided here (site file: tolerate: [gre]"},
		{"refused without style", "", "192.0.2.2", NetSite{Tolerate: []string{"gre"}}, "tunnel tun-ab (vtun) is not provided"},
		{"tolerated", "gre", "192.0.2.2", NetSite{Tolerate: []string{"egre", "gre"}}, "; tunnel tun-ab (gre)"},
		{"to a peer", "gre", "192.0.2.2", carried, "eth3 tun-ab 02:0a:01:05:02:01 [10.1.5.2/24] 1450 [192.0.2.2] of [192.0.2.2 192.0.2.4]; "},
		{"on this host", "vtun", "192.0.2.1", carried, "eth3 tun-ab 02:0a:01:05:02:01 [10.1.5.2/24] 0 [] of []; "},
		{"to nobody we know", "gre", "192.0.2.3", carried, "is not provided"},
		{"to nobody we know, tolerated", "gre", "192.0.2.3", NetSite{Tunnels: "vxlan", Tolerate: []string{"gre"}}, "; tunnel tun-ab (gre)"},
		{"no far end", "gre", "", carried, "tunnel_dstip"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := testHost(t)
			h.Site.NetSite = row.site
			all, err := protocol.ParseTunnels([]byte(recordedTunnel(row.style, row.far)))
			if err != nil {
				t.Fatal(err)
			}
			links, missing, err := h.tunnelLinks(Wish{Tunnels: all}, 2)
			got := ""
			for _, l := range links {
				got = fmt.Sprintf("%s %s %s %v %d %v of %v", l.Name, l.LAN, l.MAC, l.Addrs, l.MTU, l.Trunk.Peers, l.Trunk.Hosts)
			}
			got += "; " + strings.Join(missing, ", ")
			if err != nil {
				got = err.Error()
			}
			if err == nil && got != row.want || err != nil && !strings.Contains(got, row.want) {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// Without a MAC of boss's the two ends differ, and are the same after each boot.
func TestTunnelMAC(t *testing.T) {
	one, err1 := tunnelMAC(protocol.Tunnel{ID: 600, Member: 1})
	two, err2 := tunnelMAC(protocol.Tunnel{ID: 600, Member: 2})
	again, err3 := tunnelMAC(protocol.Tunnel{ID: 600, Member: 1})
	if err1 != nil || err2 != nil || err3 != nil || one == two || one != again || one.Validate() != nil {
		t.Errorf("%s %s %s: %v %v %v", one, two, again, err1, err2, err3)
	}
}

func TestRootTree(t *testing.T) {
	const recorded = "emulab-ops,emulab-ops,FBSD-JAIL:0"
	full := map[string]string{
		"emulab-ops,emulab-ops,FBSD-JAIL:0": "/whole", "emulab-ops,emulab-ops,FBSD-JAIL": "/unversioned", "FBSD-JAIL:0": "/version", "FBSD-JAIL": "/name",
	}
	without := func(keys ...string) map[string]string {
		m := map[string]string{}
		for k, v := range full {
			m[k] = v
		}
		for _, k := range keys {
			delete(m, k)
		}
		return m
	}
	for _, row := range []struct {
		name, image string
		images      map[string]string
		want        string // directory and notes; or part of the error
	}{
		{"no list", recorded, nil, "/ image " + recorded + ": this host's own root"},
		{"no list, no image", "", nil, "/ "},
		{"whole", recorded, full, "/whole "},
		{"without version", recorded, without(recorded), "/unversioned "},
		{"name and version", recorded, without(recorded, "emulab-ops,emulab-ops,FBSD-JAIL"), "/version "},
		{"name", recorded, map[string]string{"FBSD-JAIL": "/name"}, "/name "},
		{"older testbed", "emulab-ops,emulab-ops,FBSD-JAIL", map[string]string{"FBSD-JAIL": "/name"}, "/name "},
		{"default", recorded, map[string]string{"default": "/d"}, "/d image " + recorded + " has no tree on this host: the default, /d"},
		{"no image, default", "", map[string]string{"default": "/d"}, "/d "},
		{"no image, no default", "", map[string]string{"X": "/x"}, "/ "},
		{"unknown", recorded, map[string]string{"X": "/x", "A": "/a"}, "image " + recorded + " has no tree on this host (site file: images has A, X)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, notes, err := Site{ImageSite: ImageSite{Images: row.images}}.rootTree(row.image)
			got := dir + " " + strings.Join(notes, "; ")
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, row.want) || row.want == "/ " && got != "/ " {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// A host is remote by its site file or by the marker; it has to have a
// certificate, and nothing of tmcd's mounts is in its jails.
func TestRemote(t *testing.T) {
	marked := t.TempDir()
	if err := os.WriteFile(filepath.Join(marked, remoteMarker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		site   Site
		dirs   []string
		remote bool
		err    string
	}{
		{"local", Site{}, []string{t.TempDir(), "/nonexistent"}, false, ""},
		{"marked", Site{Certificates: "/etc/emulab"}, []string{t.TempDir(), marked}, true, ""},
		{"by the site file", Site{Certificates: "/etc/emulab", NetSite: NetSite{Remote: true}}, nil, true, ""},
		{"no certificate", Site{}, []string{marked}, true, "certificates: a remote host"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.site.findRemote(row.dirs)
			if row.site.Remote != row.remote || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("remote: %t, %v", row.site.Remote, err)
			}
		})
	}
	mounts := Wish{Mounts: protocol.Mounts{Mounts: []protocol.Mount{{Remote: "fs:/proj/jails", Local: "/proj/jails"}}}}
	shares, notes, err := Site{NetSite: NetSite{Remote: true}}.sharesOf(mounts)
	if len(shares) != 0 || len(notes) != 1 || err != nil {
		t.Errorf("mounts of a remote host: %v, %v, %v", shares, notes, err)
	}
}

// Mistakes in what the site file says about networks.
func TestNetSite(t *testing.T) {
	for _, row := range []struct {
		name string
		site NetSite
		want string
	}{
		{"fine", NetSite{Peers: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, LANMTU: 9000, Tunnels: "vxlan", Tolerate: []string{"gre"}}, ""},
		{"peer", NetSite{Peers: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, "peers: want IPv4"},
		{"MTU", NetSite{LANMTU: 100}, "lan_mtu: want 576"},
		{"tunnels", NetSite{Tunnels: "gre"}, `tunnels: want vxlan`},
		{"tolerate", NetSite{Tolerate: []string{"all"}}, `tolerate: want gre, egre, vtun, not "all"`},
	} {
		err := row.site.check()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}
