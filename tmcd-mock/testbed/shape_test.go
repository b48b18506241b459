package testbed

import (
	"strings"
	"testing"
)

// TestShape: a LAN's shape becomes what Emulab makes of it, a row for each vnode's end.
func TestShape(t *testing.T) {
	for _, tc := range []struct{ name, shape, delay, bandwidth, loss string }{
		{"with units", "{delay: 20ms, bandwidth: 10Mb, lossrate: 1%}", "10.00", "10000", "0.00501256"},
		{"plain numbers", "{delay: 20, bandwidth: 10000, lossrate: 0.01}", "10.00", "10000", "0.00501256"},
		{"other units", "{delay: 0.5s, bandwidth: 500kb, lossrate: 100%}", "250.00", "500", "1.00000000"},
		{"nothing", "{}", "0.00", "0", "0.00000000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, err := Parse("s.yaml", []byte(strings.Replace(base, "{members: {a", "{shape: "+tc.shape+", members: {a", 1)))
			if err != nil {
				t.Fatal(err)
			}
			if n := db.Len("linkdelays"); n != 2 {
				t.Fatalf("%d rows in linkdelays, want one for each end", n)
			}
			for _, node := range []string{"a", "b"} {
				end, member := db.First("linkdelays", "vnode", node), db.First("virt_lans", "vnode", node)
				for _, direction := range []string{"", "r"} {
					for col, want := range map[string]string{"delay": tc.delay, "bandwidth": tc.bandwidth, "lossrate": tc.loss} {
						if got := end.Text(direction + col); got != want {
							t.Errorf("%s of %s's end is %s, want %s", direction+col, node, got, want)
						}
						if got := member.Text(direction + col); got != want {
							t.Errorf("%s of member %s is %s, want %s", direction+col, node, got, want)
						}
					}
				}
				if end.Text("ip") != member.Text("ip") || end.Text("vlan") != "lan0" || end.Text("node_id") != "pc1" {
					t.Errorf("%s's end is %s of %s on %s", node, end.Text("ip"), end.Text("vlan"), end.Text("node_id"))
				}
			}
			if a, b := db.First("linkdelays", "vnode", "a"), db.First("linkdelays", "vnode", "b"); a.Text("pipe") == b.Text("pipe") {
				t.Errorf("both ends have pipe %s", a.Text("pipe"))
			}
		})
	}
}

// TestRoutedByHand: a node that the file gives routes has them, unless it says how it is routed.
func TestRoutedByHand(t *testing.T) {
	routes := strings.Replace(base, "    lans:\n", "    routes:\n      a: [{to: 10.2.0.0/16, via: 10.1.1.3}]\n    lans:\n", 1)
	for _, tc := range []struct{ name, file, a, b string }{
		{"routes", routes, "manual", ""},
		{"routes, and another way", strings.Replace(routes, "name: a,", "name: a, routing: none,", 1), "none", ""},
		{"no routes", base, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, err := Parse("r.yaml", []byte(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			unset := db.First("nodes", "node_id", "pc1").Text("routertype")
			for id, want := range map[string]string{"v1": tc.a, "v2": tc.b} {
				if want == "" {
					want = unset
				}
				if got := db.First("nodes", "node_id", id).Text("routertype"); got != want {
					t.Errorf("%s is routed by %q, want %q", id, got, want)
				}
			}
		})
	}
}
