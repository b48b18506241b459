package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// configHead is a host with two vnodes, a node beside it and a remote host.
const configHead = `
site: {domain: emulab.test, event_server: event-server.emulab.test, gateway: 10.0.0.254, control_network: 10.0.0.0, control_netmask: 255.255.0.0}
projects: {p: {head: alice, idx: 7}, q: {head: alice, idx: 8}}
users: {alice: {groups: {p: project_root}}}
types:
  pc: {class: pc}
  pcvm: {class: pcvm, virtual: true}
  pcplab: {class: pcplab, remote: true}
  plabslice: {class: pcplab, virtual: true, remote: true}
  ixp-bv: {class: ixp, subnode: true}
  mica2: {class: mote, subnode: true}
  other: {class: odd, subnode: true}
experiments: {p/e: {creator: alice}}
hosts:
  pc1: {type: pc, ip: 10.0.0.1, mac: "000000000001", experiment: p/e, name: host1, role: virthost}
  pc2: {type: pc, ip: 10.0.0.2, mac: "000000000002", experiment: p/e, name: fw}
  pc3: {type: pc, ip: 10.0.0.3, mac: "000000000003", experiment: p/e, name: web}
  far: {type: pcplab, ip: 10.9.0.1, experiment: p/e, name: there, remote: true, privkey: 0123456789abcdef}
vnodes:
  vm1: {type: pcvm, host: pc1, experiment: p/e, name: a, sshdport: 30001}
  vm2: {type: pcvm, host: pc1, experiment: p/e, name: b, sshdport: 30002}
  slice: {type: plabslice, host: far, experiment: p/e, name: s, sshdport: 30003}
`

// configBed is that testbed with more rows, written as the file's rows: are.
func configBed(t *testing.T, rows string) *testbed.Testbed {
	t.Helper()
	if rows != "" {
		rows = "rows:\n" + rows
	}
	db, err := testbed.Parse("test.yaml", []byte(configHead+rows))
	if err != nil {
		t.Fatal(err)
	}
	return testbed.New(db)
}

// asks compares the reply to each request with what is expected of it, over TCP
// from the address before the request.
func asks(t *testing.T, tb *testbed.Testbed, want map[string]string) {
	t.Helper()
	for request, reply := range want {
		src, command, _ := strings.Cut(request, " ")
		if res := ask(t, tb, src, answer.TCP, command+" "); string(res.Reply) != reply {
			t.Errorf("%s:\n%swant\n%s(%s)", request, res.Reply, reply, res.Why)
		}
	}
}

// TestRouteList: the routes of each name that v2pmap gives the node, and of no
// other.
func TestRouteList(t *testing.T) {
	rows := `
  nodes: [{node_id: vm1, routertype: manual}, {node_id: vm2, routertype: ""}]
  virt_routes:
    - {pid: p, eid: e, exptidx: 100, vname: a, src: 10.1.0.1, dst: 10.2.3.4, dst_type: net, dst_mask: 255.255.0.0, nexthop: 10.1.0.9, cost: 3}
    - {pid: p, eid: e, exptidx: 100, vname: sim-1, src: "", dst: 10.2.3.4, dst_type: host, dst_mask: 255.255.255.0, nexthop: 10.1.0.9, cost: 0}
    - {pid: p, eid: e, exptidx: 100, vname: b, src: "", dst: 10.2.3.4, dst_type: host, dst_mask: 255.255.255.0, nexthop: 10.1.0.9, cost: 0}
`
	const own = "ROUTE NODE=a SRC=10.1.0.1 DEST=10.2.0.0 DESTTYPE=net DESTMASK=255.255.0.0 NEXTHOP=10.1.0.9 COST=3\n"
	const second = "ROUTE NODE=sim-1 SRC= DEST=10.2.3.4 DESTTYPE=host DESTMASK=255.255.255.0 NEXTHOP=10.1.0.9 COST=0\n"
	const request = "10.0.0.1 VNODEID=vm1 VERSION=40 routelist"
	asks(t, configBed(t, rows+"  v2pmap: [{pid: p, eid: e, exptidx: 100, vname: a, node_id: vm1}, {pid: p, eid: e, exptidx: 100, vname: b, node_id: vm2}]\n"), map[string]string{
		request: "ROUTERTYPE=manual\n" + own,
		"10.0.0.1 VNODEID=vm2 VERSION=40 routelist": "",
		"10.0.0.1 VERSION=40 routelist":             "ROUTERTYPE=none\n",
	})
	asks(t, configBed(t, rows+"  v2pmap: [{pid: p, eid: e, exptidx: 100, vname: A, node_id: vm1}, {pid: p, eid: e, exptidx: 100, vname: sim-1, node_id: vm1}]\n"),
		map[string]string{request: "ROUTERTYPE=manual\n" + own + second})
	asks(t, configBed(t, rows), map[string]string{request: "ROUTERTYPE=manual\n"})
}

const jailPermissions = "SYSVIPC=1\nINETRAW=1\nBPFRO=1\nINADDRANY=1\nIPFW=1\nIPDIVERT=1\nROUTING=1\nDEVMEM=1\nELABINELAB=0\nEVENTSERVER=\"event-server.emulab.test\"\n"

// TestJailConfigAddress: which row the address, the mask and the MAC are of.
func TestJailConfigAddress(t *testing.T) {
	const rest = "PORTRANGE=\"0,65535\"\nSSHDPORT=30001\n" + jailPermissions + "IPADDRS=\"\"\n"
	for _, tc := range []struct{ name, node, card, want string }{
		{"none", "", "", ""},
		{"the node's", "jailip: 172.16.0.9, jailipmask: 255.240.0.0", "", "JAILIP=\"172.16.0.9,255.240.0.0\"\n"},
		{"without a mask", "jailip: 172.16.0.9", "", "JAILIP=\"172.16.0.9,255.240.0.0\"\n"},
		{"an empty mask", "jailip: 172.16.0.9, jailipmask: ''", "", "JAILIP=\"172.16.0.9,\"\n"},
		{"the interface's", "jailip: 172.16.0.9", "mac: '0200aabbcc01', IP: 10.0.7.1, mask: 255.0.0.0", "JAILIP=\"10.0.7.1,255.0.0.0\"\nCTRLMAC=\"0200aabbcc01\"\n"},
		{"without a mask", "", "mac: '000000000000', IP: 10.0.7.1", "JAILIP=\"10.0.7.1,255.255.0.0\"\n"},
		{"an interface without address", "jailip: 172.16.0.9", "mac: '0200aabbcc01'", "JAILIP=\"172.16.0.9,255.240.0.0\"\nCTRLMAC=\"0200aabbcc01\"\n"},
		{"the first of several", "", "port: 2, IP: 10.0.7.2}, {node_id: vm1, card: 0, port: 1, iface: eth1, role: ctrl, mac: '020000000009', IP: 10.0.7.1, mask: 255.0.0.0",
			"JAILIP=\"10.0.7.1,255.0.0.0\"\nCTRLMAC=\"020000000009\"\n"},
		{"one with an empty address", "jailip: 172.16.0.9", "mac: '0200aabbcc01', IP: ''", "CTRLMAC=\"0200aabbcc01\"\n"},
	} {
		rows := "  nodes: [{node_id: vm1, jailflag: 1, " + tc.node + "}]\n"
		if tc.card != "" {
			rows += "  interfaces: [{node_id: vm1, card: 0, iface: eth0, role: ctrl, " + tc.card + "}]\n"
		}
		t.Run(tc.name, func(t *testing.T) {
			asks(t, configBed(t, rows), map[string]string{"10.0.0.1 VNODEID=vm1 VERSION=40 jailconfig": tc.want + rest})
		})
	}
}

// TestJailConfigAddrs: an empty address of the experiment leaves its comma to
// the one before it.
func TestJailConfigAddrs(t *testing.T) {
	for list, want := range map[string]string{"": "", "10.1.0.1": "10.1.0.1", "10.1.0.1 10.2.0.1": "10.1.0.1,10.2.0.1",
		"10.1.0.1 -": "10.1.0.1,", "- 10.1.0.1": "10.1.0.1", "10.1.0.1 - 10.2.0.1": "10.1.0.1,10.2.0.1", "-": ""} {
		rows := "  nodes: [{node_id: vm1, jailflag: 1}]\n  virt_lans:\n    - {exptidx: 100, vname: x, vnode: b, vport: 0, ip: 10.7.0.1}\n"
		for i, ip := range strings.Fields(list) {
			rows += "    - {exptidx: 100, vname: l, vnode: a, vport: " + string(rune('0'+i)) + ", ip: '" + strings.Trim(ip, "-") + "'}\n"
		}
		got := string(ask(t, configBed(t, rows), "10.0.0.1", answer.TCP, "VNODEID=vm1 VERSION=40 jailconfig ").Reply)
		if !strings.HasSuffix(got, "\nIPADDRS=\""+want+"\"\n") {
			t.Errorf("%q: %s", list, got)
		}
	}
}

// TestImageNames: the project and the group of an image are those of its
// numbers; an image without them has no name, nor one of another version.
func TestImageNames(t *testing.T) {
	for _, tc := range []struct{ name, image, partition, pid, version string }{
		{"by number", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1, pid: old, gid: old", "imageid: 5, imageid_version: 3", "q", "3"},
		{"the first partition", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 6}, {node_id: vm1, partition: 0, osid: 4, imageid: 5, imageid_version: 3", "q", "3"},
		{"another version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5, imageid_version: 2", "", ""},
		{"no version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5", "", ""},
		{"no project", "imageid: 5, version: 3, pid_idx: 99, gid_idx: 1", "imageid: 5, imageid_version: 3", "", ""},
		{"no group", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 99", "imageid: 5, imageid_version: 3", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := configBed(t, "  nodes: [{node_id: vm1, jailflag: 1, def_boot_osid: 4}]\n  partitions: [{node_id: vm1, partition: 1, osid: 4, "+tc.partition+
				"}]\n  image_versions: [{imagename: IMG, "+tc.image+"}]\n")
			info, name, old := "", "", ""
			if tc.pid != "" {
				info = "PID='q' GID='p' NAME='IMG' VERSION='3'\n"
				old = "IMAGENAME=\"q,p,IMG\"\n"
				name = "IMAGENAME=\"q,p,IMG:3\"\n"
			}
			head := "PORTRANGE=\"0,65535\"\nSSHDPORT=30001\n" + jailPermissions + "IPADDRS=\"\"\n"
			asks(t, tb, map[string]string{"10.0.0.1 VNODEID=vm1 VERSION=40 imageinfo": info,
				"10.0.0.1 VNODEID=vm1 VERSION=39 jailconfig": head + name, "10.0.0.1 VNODEID=vm1 VERSION=38 jailconfig": head + old})
		})
	}
}

// TestPrograms: none on a blackbox, and what the versions know.
func TestPrograms(t *testing.T) {
	rows := `
  nodes: [{node_id: vm2, taint_states: "dangerous,blackbox"}]
  virt_programs:
    - {exptidx: 100, vnode: a, vname: one, command: "a\nb 'c'", dir: /tmp, timeout: 0, expected_exit_code: 3}
    - {exptidx: 100, vnode: a, vname: two, command: x, dir: ""}
    - {exptidx: 100, vnode: b, vname: one, command: x}
`
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.1 VNODEID=vm1 VERSION=40 programs": "UID=alice\nAGENT=one DIR=/tmp TIMEOUT=0 EXPECTED_EXIT_CODE=3 COMMAND='a\nb 'c''\nAGENT=two COMMAND='x'\n",
		"10.0.0.1 VNODEID=vm1 VERSION=22 programs": "UID=alice\nAGENT=one COMMAND='a\nb 'c''\nAGENT=two COMMAND='x'\n",
		"10.0.0.1 VNODEID=vm1 VERSION=12 programs": "UID=alice\nAGENT=one\nAGENT=two\n",
		"10.0.0.1 VNODEID=vm2 VERSION=40 programs": "",
	})
}

// TestPlabConfig: only for slices, whose address is their host's.
func TestPlabConfig(t *testing.T) {
	slice := "  node_types: [{type: plabslice, isplabdslice: 1}]\n"
	const request = "10.9.0.1 VNODEID=slice VERSION=40 plabconfig"
	asks(t, configBed(t, ""), map[string]string{request: "", "10.0.0.1 VNODEID=vm1 VERSION=40 plabconfig": ""})
	asks(t, configBed(t, slice), map[string]string{request: "SSHDPORT=30003 SVCSLICE=0 IPADDR=10.9.0.1 ELVIND_PORT=2917 \n",
		"10.9.0.1 VERSION=40 plabconfig": ""})
	asks(t, configBed(t, slice+"  plab_slices: [{pid: p, eid: e, slicename: x, admin: 1}]\n"+
		"  node_attributes: [{node_id: far, attrkey: elvind_port, attrvalue: '2918'}]\n"),
		map[string]string{request: "SSHDPORT=30003 SVCSLICE=1 IPADDR=10.9.0.1 ELVIND_PORT=2918 \n"})
}

// TestWatchdogInfo: which interval is whose, and that what no row says is -1.
func TestWatchdogInfo(t *testing.T) {
	const slice = "10.9.0.1 VNODEID=slice VERSION=28 watchdoginfo"
	plab := "  node_types: [{type: plabslice, isplabdslice: 1}]\n"
	asks(t, configBed(t, ""), map[string]string{
		slice: "INTERVAL=3600 ISALIVE=60 NTPDRIFT=0 CVSUP=43200 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
		"10.0.0.1 VNODEID=vm1 VERSION=29 watchdoginfo": "INTERVAL=3600 ISALIVE=300 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=0 DHCPDCONF=300 SETROOTPSWD=3600\n",
		"10.0.0.1 VERSION=28 watchdoginfo":             "INTERVAL=3600 ISALIVE=180 NTPDRIFT=14400 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
	})
	asks(t, configBed(t, plab), map[string]string{slice: "INTERVAL=3600 ISALIVE=600 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n"})
	asks(t, configBed(t, plab+"  plab_slices: [{pid: p, eid: e, admin: 1}]\n  reserved: [{node_id: pc1, sharing_mode: x}]\n"), map[string]string{
		slice: "INTERVAL=3600 ISALIVE=0 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
		"10.0.0.1 VNODEID=vm1 VERSION=28 watchdoginfo": "INTERVAL=3600 ISALIVE=0 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=0 DHCPDCONF=300\n",
		"10.0.0.1 VERSION=28 watchdoginfo":             "INTERVAL=3600 ISALIVE=180 NTPDRIFT=14400 CVSUP=0 RUSAGE=60 HOSTKEYS=59999940 DHCPDCONF=300\n",
	})
	const some = `tables:
  sitevariables:
    - {name: watchdog/interval, value: "7", defaultvalue: "60"}
    - {name: watchdog/ntpdrift, value: "", defaultvalue: ""}
    - {name: watchdog/isalive/local, value: "", defaultvalue: "2"}
    - {name: watchdog/hostkeys, defaultvalue: "0"}
`
	asks(t, configBed(t, "  nodes: []\n"+some), map[string]string{
		"10.0.0.1 VERSION=28 watchdoginfo": "INTERVAL=420 ISALIVE=120 NTPDRIFT=-1 CVSUP=0 RUSAGE=-1 HOSTKEYS=0 DHCPDCONF=-1\n"})
	asks(t, configBed(t, "  nodes: []\ntables: {sitevariables: []}\n"), map[string]string{"10.0.0.1 VERSION=28 watchdoginfo": ""})
}

// TestSubConfig: a network processor learns both ends of its link, a mote its
// console; only from version 24.
func TestSubConfig(t *testing.T) {
	rows := `
  nodes:
    - {node_id: ixp1, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: ixp2, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: ixp3, type: ixp-bv, phys_nodeid: pc2, role: testnode}
    - {node_id: mote, type: mica2, phys_nodeid: pc2, role: testnode}
    - {node_id: odd, type: other, phys_nodeid: pc2, role: testnode}
  reserved: [{node_id: ixp1, pid: p, eid: e, exptidx: 100, vname: net}, {node_id: ixp2, pid: p, eid: e, exptidx: 100, vname: net2}]
  interfaces:
    - {node_id: ixp1, card: 4, iface: eth0, role: ctrl, IP: 10.4.2.1}
    - {node_id: pc2, card: 4, iface: eth9, role: other, IP: 10.4.2.2, mask: 255.255.255.128}
    - {node_id: ixp2, card: 5, iface: eth0, role: ctrl, IP: 10.5.2.1}
    - {node_id: pc2, card: 5, iface: eth10, role: other, IP: 10.5.2.2}
    - {node_id: ixp3, card: 4, iface: eth0, role: ctrl}
  tiplines: [{node_id: mote, server: ops, portnum: 4501}]
`
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.2 VNODEID=ixp1 VERSION=24 subconfig": "IXP_IP=\"10.4.2.1\"\nIXP_IFACE=\"eth0\"\nIXP_BCAST=\"10.4.2.127\"\nIXP_HOSTNAME=\"net\"\n" +
			"HOST_IP=\"10.4.2.2\"\nHOST_IFACE=\"eth9\"\nNETMASK=\"255.255.255.128\"\n",
		"10.0.0.2 VNODEID=ixp1 VERSION=23 subconfig": "",
		"10.0.0.2 VNODEID=ixp2 VERSION=40 subconfig": "", // no mask
		"10.0.0.2 VNODEID=ixp3 VERSION=40 subconfig": "", // no address
		"10.0.0.2 VNODEID=mote VERSION=40 subconfig": "TYPE=mica2\nCAPSERVER=ops\nCAPPORT=4501\n",
		"10.0.0.2 VNODEID=odd VERSION=40 subconfig":  "",
		"10.0.0.2 VERSION=40 subconfig":              "",
	})
}

// TestReportArguments: what the original's scanning takes for an argument, and
// what it leaves.
func TestReportArguments(t *testing.T) {
	for _, tc := range []struct{ request, table, column, want, reply string }{
		{"rusage LA1=0.5LA5= 0.25\tLA15=1e1 DUSED=7junk ", "node_rusage", "disk_used", "7", "UPDATE=3\n"},
		{"rusage LA1=0.5LA5= 0.25\tLA15=1e1 DUSED=7junk ", "node_rusage", "load_5min", "0.25", "UPDATE=3\n"},
		{"rusage  LA1=1 LA5=1 LA15=1 DUSED=1 ", "node_rusage", "disk_used", "", ""},
		{"rusage LA1=1 LA5=1 LA15=x DUSED=1 ", "node_rusage", "disk_used", "", ""},
		{"rusage LA1=nan LA5=1 LA15=inf DUSED=1 ", "node_rusage", "load_1min", "0", "UPDATE=3\n"},
		{"rusage LA1=nan LA5=1 LA15=inf DUSED=1 ", "node_rusage", "load_15min", "0", "UPDATE=3\n"},
		{"startstatus 4294967303 ", "nodes", "startstatus", "7", ""},
		{"hostinfo CDVERSION=a-1_2 ", "nodes", "cd_version", "a-1", ""},
		{"hostinfo CDVERSION=_2 ", "nodes", "cd_version", "old", ""},
		{"hostinfo  CDVERSION=a ", "nodes", "cd_version", "old", ""},
		{"hostinfo a ", "nodes", "cd_version", "old", ""},
		{"hostinfo CDVERSION=0123456789012345678901234567890123 ", "nodes", "cd_version", "0123456789012345678901234567890", ""},
		{"hostkeys ", "node_hostkeys", "sshrsa_v2", "", ""},
		{"hostkeys ssh_host_rsa_key='k'SSH_HOST_DSA_KEY='d'", "node_hostkeys", "sshrsa_v2", "k", ""},
		{"hostkeys SSH_HOST_RSA_KEY='k'\n", "node_hostkeys", "sshrsa_v2", "old", ""},
		{"hostkeys SSH_HOST_DSA_KEY='k' ", "node_hostkeys", "sshrsa_v2", "", ""},
	} {
		tb := configBed(t, "  nodes: [{node_id: pc1, update_accounts: 3, cd_version: old}]\n  node_hostkeys: [{node_id: pc1, sshrsa_v2: old}]\n")
		if got := string(ask(t, tb, "10.0.0.1", answer.TCP, "VERSION=40 "+tc.request).Reply); got != tc.reply {
			t.Errorf("%q: reply %q", tc.request, got)
		}
		tb.Read(func(db *testbed.DB) {
			if got := db.First(tc.table, "node_id", "pc1").Text(tc.column); got != tc.want {
				t.Errorf("%q: %s is %q, want %q", tc.request, tc.column, got, tc.want)
			}
		})
	}
}

// TestSliceIsAlive: what a slice reports of its usage says that it and its host
// are up.
func TestSliceIsAlive(t *testing.T) {
	for kind, want := range map[string]string{"0": "", "1": "up"} {
		tb := configBed(t, "  node_types: [{type: plabslice, isplabdslice: "+kind+"}]\n")
		ask(t, tb, "10.9.0.1", answer.UDP, "VNODEID=slice VERSION=40 rusage LA1=1 LA5=1 LA15=1 DUSED=1 ")
		tb.Read(func(db *testbed.DB) {
			for _, id := range []string{"slice", "far"} {
				if got := db.First("node_status", "node_id", id).Text("status"); got != want {
					t.Errorf("isplabdslice %s: %s is %q", kind, id, got)
				}
			}
		})
	}
}

// TestKeyOrder: rows that are found by the first columns of a key are told in
// the order of the key if they are few, others in that in which they stand.
func TestKeyOrder(t *testing.T) {
	rows := `
  virt_node_attributes:
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: ZZ, attrvalue: one}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: B, attrvalue: another}
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: aa, attrvalue: two}
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: M, attrvalue: three}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: E, attrvalue: b}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: D, attrvalue: c}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: C, attrvalue: d}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: A, attrvalue: e}
  virt_node_disks:
    - {pid: p, eid: e, exptidx: 100, vname: a, diskname: z}
    - {pid: p, eid: e, exptidx: 100, vname: a, diskname: b}
  virt_tiptunnels:
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: web}
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: fw}
  tiplines:
    - {node_id: pc2, tipname: pc2, server: s, portnum: 2, keylen: 1, keydata: k}
    - {node_id: pc3, tipname: pc3, server: s, portnum: 3, keylen: 1, keydata: k}
  nodes: [{node_id: vm9, type: pcvm, phys_nodeid: pc1, role: virtnode}, {node_id: vm0, type: pcvm, phys_nodeid: pc1, role: virtnode}]
  reserved: [{node_id: vm9, pid: p, eid: e, exptidx: 100, vname: c}, {node_id: vm0, pid: p, eid: e, exptidx: 100, vname: d}]
`
	const disk = " DISKTYPE='' DISKSIZE='' MOUNTPOINT='' PARAMETERS='' COMMAND=''\n"
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.1 VNODEID=vm1 VERSION=40 nodeattributes": "aa=\"two\"\nM=\"three\"\nZZ=\"one\"\n",
		"10.0.0.1 VNODEID=vm2 VERSION=40 nodeattributes": "B=\"another\"\nE=\"b\"\nD=\"c\"\nC=\"d\"\nA=\"e\"\n",
		"10.0.0.1 VNODEID=vm1 VERSION=40 disks":          "DISK DISKNAME=b" + disk + "DISK DISKNAME=z" + disk,
		"10.0.0.1 VNODEID=vm1 VERSION=40 tiptunnels":     "VNODE=fw SERVER=s PORT=2 KEYLEN=1 KEY=k\nVNODE=web SERVER=s PORT=3 KEYLEN=1 KEY=k\n",
		"10.0.0.1 VERSION=6 vnodelist":                   "vm1\nvm2\nvm9\nvm0\n",
	})
}
