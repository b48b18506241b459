package answer_test

import (
	"maps"
	"strings"
	"testing"

	"emujail/tmcd-mock/testbed"
)

// iface is an experiment interface of pc1 with the given card and columns more.
func iface(card int, more testbed.Columns) row {
	c := testbed.Columns{"node_id": "pc1", "card": int64(card), "mac": "bb00", "interface_type": "em", "iface": "eth1", "role": "expt",
		"IP": "10.1.0.1", "mask": "255.255.0.0", "current_speed": "1000", "duplex": "half"}
	maps.Copy(c, more)
	return row{"interfaces", c}
}

// vif is a virtual interface on pc1, on the LAN with index 2.
func vif(unit int, more testbed.Columns) row {
	c := testbed.Columns{"node_id": "pc1", "unit": int64(unit), "mac": "cc00", "IP": "10.2.0.1", "mask": "255.255.0.0", "type": "veth",
		"exptidx": int64(5), "virtlanidx": int64(2), "vlanid": int64(0), "rtabid": int64(1)}
	maps.Copy(c, more)
	return row{"vinterfaces", c}
}

var lan2 = row{"virt_lan_lans", testbed.Columns{"exptidx": int64(5), "idx": int64(2), "vname": "lan"}}

// TestIfConfigPhysical: the line of an interface with an address, in all the
// versions that changed it, and what stands in for columns that are empty.
func TestIfConfigPhysical(t *testing.T) {
	onLAN := func(vnode, vname string) row {
		return row{"virt_lans", testbed.Columns{"pid": "p", "eid": "e", "vnode": vnode, "vname": vname, "ip": "10.1.0.1"}}
	}
	bed := pairBed(t, iface(3, nil), onLAN("a", "others"), onLAN("host", "mine"),
		vif(1, testbed.Columns{"type": "alias", "IP": "1.1.1.1"}), vif(2, testbed.Columns{"type": "alias", "IP": "2.2.2.2"}),
		vif(3, testbed.Columns{"type": "alias", "IP": nil}))
	const rest = "INET=10.1.0.1 MASK=255.255.0.0 MAC=bb00 SPEED=1000Mbps DUPLEX=half"
	for version, want := range map[string]string{
		"7":  "INTERFACE=3 " + rest,
		"8":  "INTERFACE=3 " + rest + ` IPALIASES="1.1.1.1,2.2.2.2,"`,
		"10": "IFACETYPE=eth " + rest + ` IPALIASES="1.1.1.1,2.2.2.2,"`,
		"11": "IFACETYPE=eth " + rest + ` IPALIASES="1.1.1.1,2.2.2.2," IFACE=`,
		"15": "IFACETYPE=eth " + rest + ` IPALIASES="1.1.1.1,2.2.2.2," IFACE= RTABID=0`,
		"16": "INTERFACE IFACETYPE=em " + rest + ` IPALIASES="1.1.1.1,2.2.2.2," IFACE= RTABID=0`,
		"26": "INTERFACE IFACETYPE=em " + rest + ` IPALIASES="1.1.1.1,2.2.2.2," IFACE= RTABID=0 LAN=mine`,
		"27": "INTERFACE IFACETYPE=em " + rest + " IFACE= RTABID=0 LAN=mine",
	} {
		says(t, bed, "VERSION="+version+" ifconfig ", want+"\n")
	}
	bare := testbed.Columns{"mask": "", "current_speed": "", "duplex": nil}
	says(t, pairBed(t, iface(3, bare)), "VERSION=40 ifconfig ",
		"INTERFACE IFACETYPE=em INET=10.1.0.1 MASK=255.255.255.0 MAC=bb00 SPEED=100Mbps DUPLEX=full IFACE= RTABID=0 LAN=\n")
	says(t, pairBed(t, iface(3, testbed.Columns{"role": "other"})), "VERSION=40 ifconfig ", "")
	says(t, alter(pairBed(t, iface(3, nil)), "node_types", "type", "pc", testbed.Columns{"class": "ixp"}), "VERSION=40 ifconfig ",
		"INTERFACE IFACETYPE=em "+rest+" IFACE=eth1 RTABID=0 LAN=\n")
	twice := pairBed(t, iface(3, nil), onLAN("host", "one"), onLAN("host", "two"))
	says(t, twice, "VERSION=27 ifconfig ", "INTERFACE IFACETYPE=em "+rest+" IFACE= RTABID=0 LAN=one\n"+
		"INTERFACE IFACETYPE=em "+rest+" IFACE= RTABID=0 LAN=two\n")
}

// TestIfConfigOfVNode: an interface that is given to a vnode is the vnode's and
// not the host's; a subnode has interfaces of its own.
func TestIfConfigOfVNode(t *testing.T) {
	const line = "INTERFACE IFACETYPE=em INET=10.1.0.1 MASK=255.255.0.0 MAC=bb00 SPEED=1000Mbps DUPLEX=half IFACE= RTABID=0 LAN=\n"
	setting := row{"interface_settings", testbed.Columns{"node_id": "pc1", "iface": "eth1", "capkey": "k", "capval": "v"}}
	given := pairBed(t, iface(3, testbed.Columns{"vnode_id": "pcvm1-1"}), setting)
	says(t, given, "VERSION=40 ifconfig ", "")
	says(t, given, "VERSION=40 VNODEID=pcvm1-1 ifconfig ", line+"INTERFACE_SETTING MAC=bb00 KEY='k' VAL='v'\n")
	says(t, given, "VERSION=15 VNODEID=pcvm1-1 ifconfig ",
		"IFACETYPE=eth INET=10.1.0.1 MASK=255.255.0.0 MAC=bb00 SPEED=1000Mbps DUPLEX=half IPALIASES=\"\" IFACE= RTABID=0\n")
	own := pairBed(t, iface(3, testbed.Columns{"node_id": "pcvm1-1"}))
	says(t, own, "VERSION=40 VNODEID=pcvm1-1 ifconfig ", "")
	alter(own, "node_types", "type", "pcvm", testbed.Columns{"issubnode": int64(1)})
	says(t, own, "VERSION=40 VNODEID=pcvm1-1 ifconfig ", line)
}

// TestIfConfigSettings are those of every interface, and of none that exists.
func TestIfConfigSettings(t *testing.T) {
	setting := func(iface string) row {
		return row{"interface_settings", testbed.Columns{"node_id": "pc1", "iface": iface, "capkey": "k", "capval": iface}}
	}
	tb := pairBed(t, iface(3, testbed.Columns{"IP": nil, "current_speed": "0"}), setting("eth1"), setting("eth0"), setting("eth9"))
	says(t, tb, "VERSION=16 ifconfig ", "INTERFACE_SETTING MAC=bb00 KEY='k' VAL='eth1'\nINTERFACE_SETTING MAC=aa00 KEY='k' VAL='eth0'\n"+
		"INTERFACE_SETTING MAC= KEY='k' VAL='eth9'\n")
	says(t, tb, "VERSION=15 ifconfig ", "")
}

// TestIfConfigSharedLAN: four attributes of the node make an interface.
func TestIfConfigSharedLAN(t *testing.T) {
	attr := func(key, value string) row {
		return row{"node_attributes", testbed.Columns{"node_id": "pc1", "attrkey": "shared_lan_" + key, "attrvalue": value}}
	}
	rows := []row{attr("ip", "10.3.0.1"), attr("mask", "255.0.0.0"), attr("speed", "10000"), attr("mac", "01:23:45:67:89:ab.long"), attr("x", "y")}
	const want = "INTERFACE IFACETYPE=ixgbe INET=10.3.0.1 MASK=255.0.0.0 MAC=01:23:45:67:89:ab SPEED=10000Mbps DUPLEX=full IFACE= RTABID=0 LAN=shared_lan_0\n"
	says(t, pairBed(t, rows...), "VERSION=40 ifconfig ", want)
	says(t, pairBed(t, rows...), "ifconfig ", want)
	says(t, pairBed(t, rows[1:]...), "VERSION=40 ifconfig ", "")
}

// TestIfConfigCarriers: interfaces below others are those that are up; a
// cooked slice gets nothing else that is physical.
func TestIfConfigCarriers(t *testing.T) {
	up := testbed.Columns{"IP": ""}
	tb := pairBed(t, iface(1, up), iface(2, testbed.Columns{"IP": nil, "current_speed": "0"}), iface(3, testbed.Columns{"IP": nil, "role": "mngmnt"}),
		iface(4, nil), vif(1, nil), lan2)
	alter(tb, "experiments", "idx", "5", testbed.Columns{"geniflags": int64(3)})
	const carrier = "INTERFACE IFACETYPE=em INET= MASK= MAC=bb00 SPEED=1000Mbps DUPLEX=half "
	says(t, tb, "VERSION=40 ifconfig ", carrier+"IFACE= RTABID= LAN=\n"+
		"INTERFACE IFACETYPE=veth INET=10.2.0.1 MASK=255.255.0.0 ID=1 VMAC=cc00 PMAC=none RTABID=1 ENCAPSULATE=1 LAN=lan VTAG=2\n")
	says(t, tb, "VERSION=19 ifconfig ", carrier+"IPALIASES=\"\" IFACE= RTABID= LAN=\n"+
		"INTERFACE IFACETYPE=veth INET=10.2.0.1 MASK=255.255.0.0 ID=1 VMAC=cc00 PMAC=none RTABID=1 ENCAPSULATE=1 LAN=lan\n")
	says(t, tb, "VERSION=9 ifconfig ", "IFACETYPE=veth INET=10.2.0.1 MASK=255.255.0.0 ID=1 VMAC=cc00 PMAC=none\n")
	says(t, alter(tb, "experiments", "idx", "5", testbed.Columns{"geniflags": int64(1)}), "VERSION=9 ifconfig ",
		"INTERFACE=4 INET=10.1.0.1 MASK=255.255.0.0 MAC=bb00 SPEED=1000Mbps DUPLEX=half IPALIASES=\"\"\n")
}

// TestIfConfigVirtual: type, tag and LAN of virtual interfaces.
func TestIfConfigVirtual(t *testing.T) {
	own := testbed.Columns{"vnode_id": "pcvm1-1"}
	with := func(more testbed.Columns) row {
		c := maps.Clone(own)
		maps.Copy(c, more)
		return vif(1, c)
	}
	vlan := testbed.Columns{"type": "vlan", "iface": "eth1", "vlanid": int64(9)}
	line := func(kind, pmac, rest string) string {
		return "INTERFACE IFACETYPE=" + kind + " INET=10.2.0.1 MASK=255.255.0.0 ID=1 VMAC=cc00 PMAC=" + pmac + " RTABID=1 ENCAPSULATE=" + rest + "\n"
	}
	phys := iface(1, testbed.Columns{"IP": nil})
	tag := func(lanid, tag int) row {
		return row{"reserved_vlantags", testbed.Columns{"lanid": int64(lanid), "tag": int64(tag)}}
	}
	made := func(tag int) row {
		return row{"vlans", testbed.Columns{"id": int64(9), "tag": int64(tag)}}
	}
	lan := func(id int, name string, vidx int) row {
		return row{"lans", testbed.Columns{"lanid": int64(id), "exptidx": int64(5), "vname": name, "vidx": int64(vidx), "type": "vlan"}}
	}
	stack := func(name string) row {
		return row{"lan_attributes", testbed.Columns{"lanid": int64(9), "attrkey": "stack", "attrvalue": name}}
	}
	for _, tc := range []struct {
		name string
		rows []row
		want string
	}{
		{"veth", []row{with(nil), lan2}, line("veth", "none", "1 LAN=lan VTAG=2")},
		{"veth on an interface, in no LAN", []row{with(testbed.Columns{"iface": "eth1"}), phys}, line("veth", "bb00", "1 LAN= VTAG=2")},
		{"veth-ne", []row{with(testbed.Columns{"type": "veth-ne"}), lan2}, line("veth", "none", "0 LAN=lan VTAG=2")},
		{"vlan with a tag", []row{with(vlan), lan2, phys, made(12), tag(9, 13)}, line("vlan", "bb00", "0 LAN=lan VTAG=12")},
		{"vlan with tag 0", []row{with(vlan), lan2, phys, made(0), tag(9, 13)}, line("vlan", "bb00", "0 LAN=lan VTAG=0")},
		{"vlan with a tag set aside", []row{with(vlan), lan2, phys, tag(9, 13)}, line("vlan", "bb00", "0 LAN=lan VTAG=13")},
		{"vlan with two of them", []row{with(vlan), lan2, phys, tag(9, 13), tag(9, 14)},
			line("vlan", "bb00", "0 LAN=lan VTAG=13") + line("vlan", "bb00", "0 LAN=lan VTAG=14")},
		{"vlan without a tag", []row{with(vlan), lan2, phys}, line("vlan", "bb00", "0 LAN=lan VTAG=0")},
		{"vlan on an interface that isn't there", []row{with(vlan), lan2, lan(9, "lan", 7)}, line("loop", "none", "0 LAN=lan VTAG=9")},
		{"the LAN is found by name", []row{with(testbed.Columns{"type": "vlan"}), lan2, lan(8, "other", 2), lan(9, "LAN", 7)}, line("loop", "none", "0 LAN=lan VTAG=9")},
		{"two LANs of the name", []row{with(nil), lan2, lan(8, "lan", 2), lan(9, "lan", 2)},
			line("veth", "none", "1 LAN=lan VTAG=2") + line("veth", "none", "1 LAN=lan VTAG=2")},
		{"no mask", []row{with(testbed.Columns{"mask": nil}), lan2}, strings.ReplaceAll(line("veth", "none", "1 LAN=lan VTAG=2"), "MASK=255.255.0.0", "MASK=255.255.255.0")},
		{"experimental stack", []row{with(vlan), lan2, phys, stack("Experimental")}, line("vlan", "bb00", "0 LAN=lan VTAG=0")},
		{"control stack", []row{with(vlan), lan2, phys, stack("Control")}, ""},
		{"another experiment's", []row{with(testbed.Columns{"exptidx": int64(6)}), lan2}, ""},
		{"another host's", []row{with(testbed.Columns{"node_id": "pc2"}), lan2}, ""},
		{"the host's", []row{vif(1, nil), lan2}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) { says(t, pairBed(t, tc.rows...), "VERSION=40 VNODEID=pcvm1-1 ifconfig ", tc.want) })
	}
	bed := pairBed(t, with(vlan), lan2, phys)
	says(t, bed, "VERSION=26 VNODEID=pcvm1-1 ifconfig ", "")
	says(t, bed, "VERSION=10 PROXYFOR=pcvm1-1 ifconfig ",
		"INTERFACE IFACETYPE=any INET=10.2.0.1 MASK=255.255.0.0 MAC=cc00 SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=lan\n")
}

// TestIfConfigAliases: from version 40, those with a LAN and all columns; a
// host gets those of other experiments, too.
func TestIfConfigAliases(t *testing.T) {
	alias := func(unit int, more testbed.Columns) row {
		c := testbed.Columns{"type": "alias", "vnode_id": "pcvm1-1"}
		maps.Copy(c, more)
		return vif(unit, c)
	}
	line := func(unit, mask string) string {
		return "INTERFACE IFACETYPE=alias INET=10.2.0.1 MASK=" + mask + " ID=" + unit + " VMAC=cc00 PMAC=none RTABID= ENCAPSULATE=0 LAN=lan VTAG=\n"
	}
	six := lan2
	six.columns = maps.Clone(lan2.columns)
	six.columns["exptidx"] = int64(6)
	tb := pairBed(t, lan2, six, alias(1, nil), alias(2, testbed.Columns{"virtlanidx": int64(3)}), alias(3, testbed.Columns{"mask": nil}),
		alias(4, testbed.Columns{"mask": ""}), alias(5, testbed.Columns{"exptidx": int64(6), "vnode_id": "pcvm1-9"}))
	says(t, tb, "VERSION=40 ifconfig ", line("1", "255.255.0.0")+line("4", "255.255.255.0")+line("5", "255.255.0.0"))
	says(t, tb, "VERSION=40 PROXYFOR=pcvm1-1 ifconfig ", line("1", "255.255.0.0")+line("4", "255.255.255.0"))
	says(t, tb, "VERSION=40 VNODEID=pcvm1-1 ifconfig ", "")
	says(t, tb, "VERSION=39 ifconfig ", "")
}

// TestIfConfigOfJailByAddress: a vnode that asks from an address of its own
// without naming itself is no vnode, and nothing on its host is its own.
func TestIfConfigOfJailByAddress(t *testing.T) {
	tb := pairBed(t, lan2, vif(1, nil), vif(2, testbed.Columns{"vnode_id": "pcvm1-1"}),
		row{"interfaces", testbed.Columns{"node_id": "pcvm1-1", "IP": "10.0.0.2", "role": "ctrl"}})
	saysTo(t, tb, "10.0.0.2", "VERSION=40 ifconfig ", "")
}
