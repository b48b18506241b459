package answer_test

import (
	"strings"
	"testing"
)

// firewallRows are what all firewalls have in common: variables, default rules
// and servers. Rules stand out of order on purpose.
const firewallRows = `
  sitevariables: [{name: node/gw_mac, value: "0200000000fe"}, {name: node/gw_ip, value: 10.0.0.253}]
  default_firewall_vars: [{name: EMULAB_NS, value: 10.0.0.70}, {name: EMULAB_NULL}, {name: EMULAB_EMPTY, value: ""}]
  default_firewall_rules:
    - {type: ipfw2-vlan, style: basic, enabled: 1, ruleno: 100, rule: second}
    - {type: ipfw2-vlan, style: basic, enabled: 1, ruleno: 20, rule: first}
    - {type: ipfw2-vlan, style: basic, enabled: 0, ruleno: 30, rule: off}
    - {type: ipfw2-vlan, style: closed, enabled: 1, ruleno: 30, rule: closed}
    - {type: iptables, style: basic, enabled: 1, ruleno: 30, rule: plain}
    - {type: iptables-dom0, style: basic, enabled: 1, ruleno: 40, rule: dom0}
    - {type: iptables-domU, style: basic, enabled: 1, ruleno: 50, rule: domU}
    - {type: iptables-domU, style: "", enabled: 1, ruleno: 60, rule: no style}
  firewall_rules:
    - {pid: p, eid: e, exptidx: 100, fwname: fw, ruleno: 9, rule: mine too}
    - {pid: p, eid: e, exptidx: 100, fwname: fw, ruleno: 8, rule: mine}
    - {pid: p, eid: other, exptidx: 101, fwname: fw, ruleno: 1, rule: another's}
    - {pid: p, eid: e, exptidx: 100, fwname: a, ruleno: 2, rule: the vnode's}
    - {pid: p, eid: e, exptidx: 100, fwname: host1, ruleno: 3, rule: the host's}
  subbosses: [{node_id: pc1, service: dhcp, subboss_id: sub}, {node_id: pc1, service: tftp, subboss_id: idle, disabled: 1}]
  interfaces:
    - {node_id: boss, card: 0, iface: eth0, role: ctrl, IP: 10.0.9.1, mac: "00000000000b"}
    - {node_id: ops, card: 0, iface: eth0, role: ctrl, IP: 10.1.9.1, mac: "00000000000c"}
    - {node_id: fs, card: 0, iface: eth0, role: other, IP: 10.0.9.2, mac: "00000000000d"}
    - {node_id: fs, card: 1, iface: eth1, role: ctrl, mac: "00000000000e"}
    - {node_id: sub, card: 0, iface: eth0, role: ctrl, IP: 10.0.9.3, mac: "00000000000f"}
    - {node_id: idle, card: 0, iface: eth0, role: ctrl, IP: 10.0.9.4, mac: "000000000010"}
    - {node_id: pc3, card: 8, port: 3, iface: eth8, role: ctrl, IP: 10.0.8.3, mac: "000000000083"}
    - {node_id: pc3, card: 8, port: 2, iface: eth9, role: ctrl, IP: 10.0.8.4, mac: "000000000084"}
`

const (
	firewallVars = "VAR=EMULAB_GWIP VALUE=\"10.0.0.254\"\nVAR=EMULAB_GWMAC VALUE=\"0200000000fe\"\n" +
		"VAR=EMULAB_NS VALUE=\"10.0.0.70\"\nVAR=EMULAB_EMPTY VALUE=\"\"\n"
	firewallHosts = "HOST=host1 CNETIP=10.0.0.1 CNETMAC=000000000001\nHOST=fw CNETIP=10.0.0.2 CNETMAC=000000000002\n" +
		"HOST=web CNETIP=10.0.0.3 CNETMAC=000000000003\nHOST=web CNETIP=10.0.8.4 CNETMAC=000000000084\n" +
		"HOST=web CNETIP=10.0.8.3 CNETMAC=000000000083\nHOST=there CNETIP=10.9.0.1 CNETMAC=020a09000100\n"
	firewallServers = "SERVER=boss CNETIP=10.0.9.1 CNETMAC=00000000000b\nSERVER=sub CNETIP=10.0.9.3 CNETMAC=00000000000f\n"
)

// firewallOf makes fw the experiment's firewall.
func firewallOf(firewalls, virt string) string {
	return firewallRows + "  firewalls: [{pid: p, eid: e, exptidx: 100, fwname: fw" + firewalls + "}]\n" +
		"  virt_firewalls: [{pid: p, eid: e, exptidx: 100, fwname: fw, style: basic" + virt + "}]\n"
}

// TestFirewallNode: the node that is the firewall gets everything, version by
// version; the others of the experiment learn where it is.
func TestFirewallNode(t *testing.T) {
	const rules = "RULENO=8 RULE=\"mine\"\nRULENO=9 RULE=\"mine too\"\nRULENO=20 RULE=\"first\"\nRULENO=100 RULE=\"second\"\n"
	const head = "TYPE=ipfw2-vlan STYLE=basic IN_IF=000000000002 OUT_IF=000000000002 IN_VLAN=0 OUT_VLAN=0\n"
	const vlan = "TYPE=ipfw2-vlan STYLE=basic IN_IF=000000000002 OUT_IF=000000000002 IN_VLAN=77 OUT_VLAN=77\n"
	asks(t, configBed(t, firewallOf("", ", type: ipfw2-vlan, log: 'allow,deny'")), map[string]string{
		"10.0.0.2 VERSION=40 firewallinfo":             head + "LOG=allow,deny\n" + firewallVars + rules + firewallHosts + firewallServers,
		"10.0.0.2 VERSION=33 firewallinfo":             head + "LOG=allow,deny\n" + firewallVars + rules + firewallHosts,
		"10.0.0.2 VERSION=25 firewallinfo":             head + firewallVars + rules + withoutMACs(firewallHosts),
		"10.0.0.2 VERSION=24 firewallinfo":             head + firewallVars + rules,
		"10.0.0.2 VERSION=21 firewallinfo":             head + rules,
		"10.0.0.3 VERSION=40 firewallinfo":             "TYPE=remote FWIP=0.0.0.0\n",
		"10.9.0.1 VERSION=40 firewallinfo":             "TYPE=remote FWIP=0.0.0.0\n",
		"10.0.0.1 VERSION=40 firewallinfo":             "TYPE=none\n", // a virthost
		"10.0.0.1 VNODEID=vm1 VERSION=40 firewallinfo": "TYPE=none\n",
	})
	asks(t, configBed(t, firewallOf(", vlan: 77", ", type: iptables, log: ''")), map[string]string{
		"10.0.0.2 VERSION=21 firewallinfo": strings.Replace(vlan, "ipfw2-vlan", "iptables", 1) + "RULENO=8 RULE=\"mine\"\nRULENO=9 RULE=\"mine too\"\nRULENO=30 RULE=\"plain\"\n",
		"10.0.0.3 VERSION=40 firewallinfo": "TYPE=remote FWIP=10.0.0.2\n",
	})
}

// TestFirewallSeveral: of several firewalls the first by name that a node is.
func TestFirewallSeveral(t *testing.T) {
	asks(t, configBed(t, "  firewalls: [{pid: p, eid: e, fwname: web}, {pid: p, eid: e, fwname: fw}, {pid: p, eid: e, fwname: a0}]\n"+
		"  virt_firewalls: [{pid: p, eid: e, fwname: web, type: ipfw}, {pid: p, eid: e, fwname: fw, type: ipfw}]\n"),
		map[string]string{"10.0.0.3 VERSION=40 firewallinfo": "TYPE=remote FWIP=10.0.0.2\n"})
}

func withoutMACs(hosts string) string {
	var b strings.Builder
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, " CNETMAC=")
		b.WriteString(line + "\n")
	}
	return b.String()
}

// TestFirewallNone: a firewall that no node is, or that another experiment has.
func TestFirewallNone(t *testing.T) {
	none := map[string]string{"10.0.0.3 VERSION=40 firewallinfo": "TYPE=none\n"}
	asks(t, configBed(t, ""), none)
	asks(t, configBed(t, "  firewalls: [{pid: p, eid: e, fwname: fw}]\n"), none)
	asks(t, configBed(t, "  firewalls: [{pid: p, eid: e, fwname: nobody}]\n  virt_firewalls: [{pid: p, eid: e, fwname: nobody, type: ipfw}]\n"), none)
	asks(t, configBed(t, "  firewalls: [{pid: p, eid: f, fwname: fw}]\n  virt_firewalls: [{pid: p, eid: f, fwname: fw, type: ipfw}]\n"), none)
}

// TestFirewallHost: a host's firewall for its vnodes and for itself. An empty
// style is one, too; the vnode itself knows of none.
func TestFirewallHost(t *testing.T) {
	virt := "  virt_nodes:\n    - {pid: p, eid: e, exptidx: 100, vname: a, firewall_style: basic, firewall_log: reject}\n" +
		"    - {pid: p, eid: e, exptidx: 100, vname: b, firewall_style: ''}\n    - {pid: p, eid: e, exptidx: 100, vname: host1, firewall_style: basic}\n"
	head := func(kind, style string) string {
		return "TYPE=" + kind + " STYLE=" + style + " IN_IF=na OUT_IF=na IN_VLAN=0 OUT_VLAN=0\n"
	}
	const vnode = "VAR=EMULAB_SSHDPORT VALUE=\"30001\"\nRULENO=2 RULE=\"the vnode's\"\nRULENO=50 RULE=\"domU\"\n"
	asks(t, configBed(t, firewallRows+virt), map[string]string{
		"10.0.0.1 VNODEID=vm1 VERSION=40 firewallinfo":  head("iptables-domU", "basic") + "LOG=reject\n" + firewallVars + vnode + firewallHosts + firewallServers,
		"10.0.0.1 VNODEID=vm1 VERSION=25 firewallinfo":  head("iptables-domU", "basic") + firewallVars + vnode + withoutMACs(firewallHosts),
		"10.0.0.1 VNODEID=vm1 VERSION=21 firewallinfo":  head("iptables-domU", "basic") + vnode,
		"10.0.0.1 VNODEID=vm2 VERSION=21 firewallinfo":  head("iptables-domU", "") + "VAR=EMULAB_SSHDPORT VALUE=\"30002\"\nRULENO=60 RULE=\"no style\"\n",
		"10.0.0.1 PROXYFOR=vm1 VERSION=40 firewallinfo": "TYPE=none\n",
		"10.0.0.1 VERSION=21 firewallinfo":              head("iptables-dom0", "basic") + "RULENO=40 RULE=\"dom0\"\n",
	})
	shared := "  reserved: [{node_id: pc1, erole: sharedhost, sharing_mode: using_shared_local}]\n"
	asks(t, configBed(t, firewallRows+virt+shared), map[string]string{
		"10.0.0.1 VERSION=21 firewallinfo": head("iptables-dom0", "basic") + "RULENO=3 RULE=\"the host's\"\nRULENO=40 RULE=\"dom0\"\n",
	})
	// Without the gateway's MAC address there is no gateway; the default isn't asked for.
	gw := strings.Replace(firewallRows, `value: "0200000000fe"`, `value: null, defaultvalue: "0200000000ff"`, 1)
	asks(t, configBed(t, gw+virt), map[string]string{
		"10.0.0.1 VERSION=22 firewallinfo": head("iptables-dom0", "basic") + strings.Join(strings.SplitAfter(firewallVars, "\n")[2:], "") + "RULENO=40 RULE=\"dom0\"\n",
	})
}
