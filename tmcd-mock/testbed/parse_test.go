package testbed

import (
	"fmt"
	"strings"
	"testing"
)

// base is a small right testbed; a row of TestMistakes appends to it or
// replaces a part.
const base = `projects:
  p: {head: alice}
users:
  alice: {groups: {p: project_root}}
experiments:
  p/e:
    lans:
      lan0: {members: {a: 10.1.1.2, b: 10.1.1.3}}
    traffic:
      cbr0: {node: a, role: source, port: 5001, peer: null0}
      null0: {node: b, role: sink, port: 5002, peer: cbr0}
hosts:
  pc1: {ip: 127.0.0.1, experiment: p/e, name: h}
vnodes:
  v1: {host: pc1, experiment: p/e, name: a, jail: {ip: 172.16.0.1}}
  v2: {host: pc1, experiment: p/e, name: b, jail: {ip: 172.16.0.2}}
`

func TestBase(t *testing.T) {
	db, err := Parse("base.yaml", []byte(base))
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"nodes": 3, "reserved": 3, "virt_lans": 2, "vinterfaces": 2, "virt_trafgens": 2,
		"interfaces": 1, "group_membership": 1, "node_types": 2} {
		if got := db.Len(table); got != want {
			t.Errorf("%d rows in %s, want %d", got, table, want)
		}
	}
	tg := db.First("virt_trafgens", "vname", "cbr0")
	if tg.Text("target_vnode") != "b" || tg.Int("target_port") != 5002 {
		t.Errorf("cbr0's peer is %s port %d", tg.Text("target_vnode"), tg.Int("target_port"))
	}
}

// TestMistakes: each gets the file, the line, and what was expected.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"no YAML", "projects:\n", "projects: [\n", "m.yaml:3: expected YAML: "},
		{"two documents", "projects:\n", "projects:\n---\nusers:\n", "m.yaml:3: expected one document"},
		{"a list on top", base, "- a\n- b\n", "m.yaml:1: expected a testbed as `key: value` lines, not a list"},
		{"unknown section", "users:\n", "userz:\n", `m.yaml:3: unknown key "userz": expected for a testbed one of `},
		{"unknown key of a user", "{groups: {p: project_root}}", "{grups: {}}", `m.yaml:4: unknown key "grups": expected for a user one of `},
		{"unknown key of a host", "{ip: 127.0.0.1,", "{ipp: 127.0.0.1,", `m.yaml:13: unknown key "ipp": expected for a host one of `},
		{"unknown key of a vnode", "jail: {ip: 172.16.0.1}", "jial: {ip: 172.16.0.1}", `m.yaml:15: unknown key "jial": expected for a vnode one of `},
		{"unknown key of a jail", "jail: {ip: 172.16.0.1}", "jail: {addr: 172.16.0.1}", `m.yaml:15: unknown key "addr": expected for jail one of `},
		{"unknown key of a LAN", "{members: {a", "{member: {a", `m.yaml:8: unknown key "member": expected for a LAN one of `},
		{"unknown site key", "users:\n", "site: {domian: x}\nusers:\n", `m.yaml:3: unknown key "domian": expected for site one of `},
		{"key twice", "  v2: ", "  v1: ", `m.yaml:16: expected each key once, "v1" stands already in line 15`},
		{"node id twice", "  v2: ", "  pc1: ", "m.yaml:16: expected a new node id, pc1 stands already in line 13"},
		{"address twice", "172.16.0.2", "172.16.0.1", "m.yaml:16: expected v2 to have an address of its own, 172.16.0.1 is that of v1"},
		{"name twice", "name: b,", "name: a,", `m.yaml:16: expected v2 to have a name of its own in p/e, "a" is that of v1`},
		{"uid twice", "  alice: {groups: {p: project_root}}", "  alice: {uid: 7}\n  bob: {uid: 7}", "m.yaml:5: expected user bob to have a uid of its own, 7 is that of alice"},
		{"no address", "127.0.0.1", "localhost", `m.yaml:13: expected the control address, an IPv4 address like 10.1.1.2, not "localhost"`},
		{"IPv6", "127.0.0.1", "::1", `m.yaml:13: expected `},
		{"host without address", "{ip: 127.0.0.1, ", "{", "m.yaml:13: expected host pc1 to have ip:"},
		{"no mask", "{members:", "{mask: 255.0.255.0, members:", `m.yaml:8: expected the LAN's mask, a netmask like 255.255.255.0 or 24, not "255.0.255.0"`},
		{"shape: unknown key", "{members: {a", "{shape: {dealy: 20}, members: {a", `m.yaml:8: unknown key "dealy": expected for shape one of delay, bandwidth, lossrate`},
		{"shape: unknown unit", "{members: {a", "{shape: {delay: 20min}, members: {a", `m.yaml:8: expected delay from member to member: 0 to 20 s, like 20ms, not "20min"`},
		{"shape: too much", "{members: {a", "{shape: {lossrate: 101%}, members: {a", `m.yaml:8: expected loss from member to member: 0 to 1, like 0.01 or 1%, not "101%"`},
		{"shape: below nothing", "{members: {a", "{shape: {bandwidth: -1}, members: {a", `m.yaml:8: expected bandwidth: up to 100 Gbit/s, like 10Mb, not`},
		{"shape: no vnodes", "{members: {a: 10.1.1.2, b", "{shape: {delay: 20}, members: {h: 10.1.1.2, b", "m.yaml:8: expected the members of lan0, which has shape:, to be vnodes on links, h isn't"},
		{"no such creator", "  p/e:\n", "  p/e:\n    creator: anne\n", `m.yaml:7: expected creator of p/e to be one of users:, there is no "anne"`},
		{"event of nobody", "    lans:\n", "    schedule:\n      - {at: 1, object: cbr9, action: START}\n    lans:\n", `m.yaml:8: expected events of p/e to be for its traffic generators, programs, LANs or nodes, there is no "cbr9"`},
		{"other network", "10.1.1.3", "10.1.2.3", "m.yaml:8: expected the members of lan0 to be in one network"},
		{"no MAC", "jail: {ip: 172.16.0.1}", "jail: {ip: 172.16.0.1, mac: zz}", "m.yaml:15: expected the jail's control interface, a MAC address"},
		{"bad node id", "  v2: ", "  v.2: ", `m.yaml:16: expected a node id of 1 to 30 letters`},
		{"long node id", "  v2: ", "  " + strings.Repeat("v", 31) + ": ", `m.yaml:16: expected a node id of 1 to 30 letters`},
		{"no such host", "host: pc1, experiment: p/e, name: b", "host: pc9, experiment: p/e, name: b", `m.yaml:16: expected vnode v2 to have the id of one of hosts:, there is no host "pc9"`},
		{"no host", "v2: {host: pc1, ", "v2: {", "m.yaml:16: expected vnode v2 to have host:"},
		{"no such experiment", "p/e, name: b", "p/f, name: b", `m.yaml:16: expected v2 to be in an experiment of experiments:, there is no "p/f"`},
		{"no such project", "  p/e:", "  q/e:", `m.yaml:6: expected experiment q/e to belong to a project of projects:, there is no "q"`},
		{"experiment without project", "  p/e:", "  pe:", `m.yaml:6: expected an experiment as PROJECT/EXPERIMENT, not "pe"`},
		{"no such user", "head: alice", "head: eve", `m.yaml:2: expected head of p to be one of users:, there is no "eve"`},
		{"no such group", "{p: project_root}", "{q: user}", `m.yaml:4: expected user alice to be in groups that exist, there is no q/q`},
		{"no such trust", "p: project_root", "p: root", `m.yaml:4: expected the trust, one of none, user, local_root, group_root, project_root, not "root"`},
		{"no such type", "name: h}", "name: h, type: vax}", `m.yaml:13: expected pc1 to have a type of types: or one of pc, pcvm, pcwa, pcvwa, not "vax"`},
		{"LAN member that isn't", "b: 10.1.1.3", "c: 10.1.1.3", `m.yaml:8: expected members of lan0 to be nodes of p/e, none has the name: "c"`},
		{"address twice on a LAN", "b: 10.1.1.3", "b: 10.1.1.2", "m.yaml:8: expected b to have an address of its own on lan0"},
		{"generator nowhere", "null0: {node: b", "null0: {node: z", `m.yaml:11: expected traffic generator null0 to be on a node of p/e, none has the name: "z"`},
		{"generator without peer", "peer: cbr0", "peer: cbr9", `m.yaml:11: expected peer of null0 to be a traffic generator of p/e, there is no "cbr9"`},
		{"generator half said", "port: 5002, ", "", "m.yaml:11: expected traffic generator null0 to have node:, role:, port: and peer:"},
		{"port too high", "port: 5002", "port: 70000", `m.yaml:11: expected the own port, a number from 1 to 65535, not "70000"`},
		{"event for nobody", "    traffic:\n", "    schedule: [{at: 0, object: x, action: START}]\n    traffic:\n", `m.yaml:9: expected events of p/e to be for its traffic generators`},
		{"event at no time", "    traffic:\n", "    schedule: [{at: soon, object: cbr0, action: START}]\n    traffic:\n", `m.yaml:9: expected at, seconds or a duration like 90s, not "soon"`},
		{"ports the wrong way", "    traffic:\n", "    ports: [9, 5]\n    traffic:\n", "m.yaml:9: expected the highest port, a number from 9 to 65535"},
		{"program nowhere", "    traffic:\n", "    programs: {x: {node: q, command: ls}}\n    traffic:\n", `m.yaml:9: expected program x to be on a node of p/e`},
		{"route to nowhere", "    traffic:\n", "    routes: {a: [{to: here, via: 10.1.1.3}]}\n    traffic:\n", "m.yaml:9: expected to, an IPv4 address or net"},
		{"switch that is no switch", "users:\n", "site: {no_shared_fs: maybe}\nusers:\n", `m.yaml:3: expected no_shared_fs, true or false, not "maybe"`},
		{"file that is no base64", "users:\n", "files: {x: {base64: '*'}}\nusers:\n", "m.yaml:3: expected base64 of x"},
		{"row without columns", "users:\n", "rows: {nodes: [{}]}\nusers:\n", "m.yaml:3: expected a row of nodes with columns"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(base, tc.old) {
				t.Fatalf("the base has no %q", tc.old)
			}
			_, err := Parse("m.yaml", []byte(strings.Replace(base, tc.old, tc.new, 1)))
			if err == nil {
				t.Fatalf("no error, want %q", tc.want)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// TestManyMistakes: all are told at once, up to a bound.
func TestManyMistakes(t *testing.T) {
	var b strings.Builder
	b.WriteString("hosts:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "  pc%d: {ip: nowhere}\n", i)
	}
	_, err := Parse("m.yaml", []byte(b.String()))
	if err == nil {
		t.Fatal("no error")
	}
	if n := strings.Count(err.Error(), "m.yaml:"); n != maxErrors {
		t.Errorf("%d mistakes told, want %d", n, maxErrors)
	}
}

// big is a testbed of 10,000 nodes.
func big() []byte {
	var b strings.Builder
	b.WriteString("projects: {p: {head: u}}\nusers: {u: {groups: {p: project_root}}}\nexperiments:\n")
	for e := range 100 {
		fmt.Fprintf(&b, "  p/e%d: {lans: {lan0: {members: {n0: 10.1.1.2, n1: 10.1.1.3}}}}\n", e)
	}
	b.WriteString("hosts:\n")
	for h := range 1000 {
		fmt.Fprintf(&b, "  pc%d: {ip: 10.9.%d.%d, experiment: p/e%d, name: h%d}\n", h, h/250, h%250+1, h/10, h%10)
	}
	b.WriteString("# and on each nine\nvnodes:\n")
	for h := range 1000 {
		for v := range 9 {
			fmt.Fprintf(&b, "  pcvm%d-%d:\n    host: pc%d\n    experiment: p/e%d\n    name: n%d\n    jail: {ip: 172.%d.%d.%d}\n",
				h, v, h, h/10, h%10*9+v, 16+h/250, h%250, v+1)
		}
	}
	return []byte(b.String())
}

// TestBig: a big file is parsed in pieces, and a mistake's line is still right.
func TestBig(t *testing.T) {
	text := big()
	db, err := Parse("big.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	if n := db.Len("nodes"); n != 10000 {
		t.Errorf("%d nodes, want 10000", n)
	}
	wrong := strings.Replace(string(text), "    name: n44\n    jail: {ip: 172.16.234.9}", "    nmae: n44\n    jail: {ip: 172.16.234.9}", 1)
	line := 1 + strings.Count(wrong[:strings.Index(wrong, "nmae")], "\n")
	_, err = Parse("big.yaml", []byte(wrong))
	if want := fmt.Sprintf("big.yaml:%d: unknown key \"nmae\"", line); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	for name, broken := range map[string]string{
		"key of two pieces": strings.Replace(string(text), "  pcvm900-3:", "  pcvm1-1:", 1),
		"no YAML":           strings.Replace(string(text), "jail: {ip: 172.16.234.9}", "jail: {ip: 172.16.234.9", 1),
	} {
		if _, err := Parse("big.yaml", []byte(broken)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkLoad10k(b *testing.B) {
	text := big()
	for b.Loop() {
		if _, err := Parse("big.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}
