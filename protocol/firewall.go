package protocol

import "fmt"

// FirewallInfo is the reply to firewallinfo: the firewall that the node has to
// be, or to sit behind. A proxied vnode gets type none.
type FirewallInfo struct {
	Type            string // none, iptables-domU …; "": empty reply
	Style           string // such as basic; this and the next four not with none
	InIF, OutIF     string
	InVLAN, OutVLAN string
	Vars            []FirewallVar
	Rules           []FirewallRule
	Hosts           []Neighbor // HOST from version 25, SERVER from 34
	Extra           Extra
}

// FirewallVar is a VAR line: a name that rules use.
type FirewallVar struct {
	Name, Value string
	Extra       Extra
}

// FirewallRule is a RULENO line.
type FirewallRule struct {
	Number int
	Rule   string
	Extra  Extra
}

// Neighbor is a HOST or SERVER line: a machine on the control network.
type Neighbor struct {
	Server bool
	Name   string
	IP     string
	MAC    string // 12 hexadecimal digits; from version 26
	Extra  Extra
}

// ARPInfo is the reply to arpinfo: neighbors whose addresses are fixed. It is
// answered over TLS only.
type ARPInfo struct {
	Type  string // none, static or staticonly; "": empty reply
	Hosts []Neighbor
	Extra Extra
}

// ParseFirewallInfo reads the reply to firewallinfo.
func ParseFirewallInfo(b []byte) (FirewallInfo, error) {
	var f FirewallInfo
	err := eachRecord(b, func(c *codec) error {
		if c.tag != "" || len(c.words) == 0 {
			return unexpected(c.tag)
		}
		var err error
		switch key := c.words[0].key; key {
		case "TYPE":
			err = f.setHead(c)
		case "VAR":
			f.Vars, err = addRecord[FirewallVar](c, "", f.Vars)
		case "RULENO":
			f.Rules, err = addRecord[FirewallRule](c, "", f.Rules)
		case "HOST", "SERVER":
			f.Hosts, err = addRecord[Neighbor](c, "", f.Hosts)
		default:
			err = fmt.Errorf("unexpected %s=", key)
		}
		return err
	})
	return f, err
}

func (f *FirewallInfo) setHead(c *codec) error {
	if f.Type != "" {
		return unexpected(c.line)
	}
	var head FirewallInfo
	if head.fields(c); c.err != nil {
		return c.err
	}
	head.Vars, head.Rules, head.Hosts = f.Vars, f.Rules, f.Hosts
	*f = head
	return nil
}

func (f *FirewallInfo) fields(c *codec) {
	c.must("TYPE")
	c.text("TYPE", &f.Type)
	if c.parsing || f.Type != "none" || f.Style != "" {
		c.text("STYLE", &f.Style)
		c.text("IN_IF", &f.InIF)
		c.text("OUT_IF", &f.OutIF)
		c.text("IN_VLAN", &f.InVLAN)
		c.text("OUT_VLAN", &f.OutVLAN)
	}
	c.extra(&f.Extra)
}

func (v *FirewallVar) fields(c *codec) {
	c.must("VAR")
	c.need("VALUE")
	c.text("VAR", &v.Name)
	c.free("VALUE", '"', &v.Value)
	c.extra(&v.Extra)
}

func (r *FirewallRule) fields(c *codec) {
	c.need("RULE")
	c.number("RULENO", &r.Number)
	c.free("RULE", '"', &r.Rule)
	c.extra(&r.Extra)
}

func (n *Neighbor) fields(c *codec) {
	key := "HOST"
	if c.parsing {
		n.Server = c.find("SERVER") >= 0
	}
	if n.Server {
		key = "SERVER"
	}
	c.must(key)
	c.text(key, &n.Name)
	c.text("CNETIP", &n.IP)
	if c.since(26) {
		c.text("CNETMAC", &n.MAC)
	}
	c.extra(&n.Extra)
}

// Append renders the reply: variables, rules, then hosts.
func (f FirewallInfo) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	if f.Type != "" {
		c.begin("")
		f.fields(&c)
		c.end()
	}
	for i := range f.Vars {
		c.begin("")
		f.Vars[i].fields(&c)
		c.end()
	}
	for i := range f.Rules {
		c.begin("")
		f.Rules[i].fields(&c)
		c.end()
	}
	for i := range f.Hosts {
		if c.since(34) || c.since(25) && !f.Hosts[i].Server {
			f.Hosts[i].append(&c)
		}
	}
	return c.dst
}

func (n *Neighbor) append(c *codec) {
	c.begin("")
	n.fields(c)
	c.end()
}

// ParseARPInfo reads the reply to arpinfo.
func ParseARPInfo(b []byte) (ARPInfo, error) {
	var a ARPInfo
	err := eachRecord(b, func(c *codec) error {
		if c.find("ARPTYPE") >= 0 && a.Type == "" && c.tag == "" {
			head := ARPInfo{}
			if head.fields(c); c.err == nil {
				a.Type, a.Extra = head.Type, head.Extra
			}
			return c.err
		}
		if c.find("HOST") < 0 && c.find("SERVER") < 0 {
			return unexpected(c.line)
		}
		var err error
		a.Hosts, err = addRecord[Neighbor](c, "", a.Hosts)
		return err
	})
	return a, err
}

func (a *ARPInfo) fields(c *codec) {
	c.must("ARPTYPE")
	c.text("ARPTYPE", &a.Type)
	c.extra(&a.Extra)
}

// Append renders the reply.
func (a ARPInfo) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	if a.Type != "" {
		c.begin("")
		a.fields(&c)
		c.end()
	}
	for i := range a.Hosts {
		a.Hosts[i].append(&c)
	}
	return c.dst
}
