package protocol

// IfConfig is the reply to ifconfig: a node's experiment interfaces (spec §5,
// §6). In which order they come has no meaning.
type IfConfig struct {
	Settings   []Setting // those before the first interface; tmcd sends none
	Interfaces []Interface
}

// Interface is a line of IfConfig. Addresses and masks are dotted quads or
// empty, MACs 12 hexadecimal digits without colons.
type Interface struct {
	Type string // fxp, em…; any and gre for a vnode that asks itself; veth, vlan, loop, alias
	INET string
	Mask string

	// A virtual interface (veth, vlan, loop, alias) has these:
	Virtual     bool
	ID          string // unit number
	VMAC        string
	PMAC        string // MAC of the interface below; "none" without one
	Encapsulate bool   // from version 15
	VTag        string // VLAN tag or id of the LAN; from version 20

	// Any other has these:
	MAC    string
	Speed  string // such as 100Mbps
	Duplex string
	IFace  string // from version 11
	Unit   string // before version 10

	RTabID string // routing table; from version 14
	LAN    string // from version 17
	Extra  Extra

	Settings []Setting // from version 16
}

// Setting is an INTERFACE_SETTING line: a property of the interface with the MAC.
type Setting struct {
	MAC, Key, Value string
	Extra           Extra
}

// ParseIfConfig reads the reply to ifconfig.
func ParseIfConfig(b []byte) (IfConfig, error) {
	var r IfConfig
	err := eachRecord(b, func(c *codec) error {
		var err error
		switch c.tag {
		case "INTERFACE", "":
			r.Interfaces, err = addRecord[Interface](c, c.tag, r.Interfaces)
		case "INTERFACE_SETTING":
			settings := &r.Settings
			if n := len(r.Interfaces); n > 0 {
				settings = &r.Interfaces[n-1].Settings
			}
			*settings, err = addRecord[Setting](c, c.tag, *settings)
		default:
			err = unexpected(c.tag)
		}
		return err
	})
	return r, err
}

func (s *Setting) fields(c *codec) {
	c.need("MAC", "KEY", "VAL")
	c.text("MAC", &s.MAC)
	c.quoted("KEY", '\'', &s.Key)
	c.quoted("VAL", '\'', &s.Value)
	c.extra(&s.Extra)
}

func (i *Interface) fields(c *codec) {
	c.need("INET", "MASK")
	if c.parsing {
		i.Virtual = c.find("VMAC") >= 0
	}
	if i.Virtual {
		i.virtualFields(c)
	} else {
		i.realFields(c)
	}
	c.extra(&i.Extra)
}

func (i *Interface) virtualFields(c *codec) {
	c.text("IFACETYPE", &i.Type)
	c.text("INET", &i.INET)
	c.text("MASK", &i.Mask)
	c.text("ID", &i.ID)
	c.text("VMAC", &i.VMAC)
	c.text("PMAC", &i.PMAC)
	if c.since(14) {
		c.text("RTABID", &i.RTabID)
	}
	if c.since(15) {
		c.flag("ENCAPSULATE", &i.Encapsulate)
	}
	if c.since(17) {
		c.text("LAN", &i.LAN)
	}
	if c.since(20) {
		c.text("VTAG", &i.VTag)
	}
}

func (i *Interface) realFields(c *codec) {
	old := !i.ofVNode() // a vnode's own view has one form in all versions
	i.name(c, old)
	c.text("INET", &i.INET)
	c.text("MASK", &i.Mask)
	c.text("MAC", &i.MAC)
	c.text("SPEED", &i.Speed)
	c.text("DUPLEX", &i.Duplex)
	if c.parsing || old && c.since(8) && c.until(26) {
		none := ""
		c.ipAliases(&none)
	}
	if !old || c.since(11) {
		c.text("IFACE", &i.IFace)
	}
	if !old || c.since(14) {
		c.text("RTABID", &i.RTabID)
	}
	if !old || c.since(17) {
		c.text("LAN", &i.LAN)
	}
}

// ipAliases is a word that tmcd always sent empty; what else it may hold is
// dropped.
func (c *codec) ipAliases(none *string) { c.quoted("IPALIASES", '"', none) }

// name is the first word: a unit number, then a type that was always eth, then
// the type itself.
func (i *Interface) name(c *codec, old bool) {
	if c.parsing {
		c.text("INTERFACE", &i.Unit)
		c.text("IFACETYPE", &i.Type)
		return
	}
	kind, unit := i.Type, i.Unit
	if old && c.version < 10 {
		if unit == "" {
			unit = "1"
		}
		c.text("INTERFACE", &unit)
		return
	}
	if old && c.version < 16 {
		kind = "eth"
	}
	c.text("IFACETYPE", &kind)
}

// ofVNode reports whether this is the view that a vnode gets of its own
// interfaces, through PROXYFOR.
func (i *Interface) ofVNode() bool { return i.Type == "any" || i.Type == "gre" }

// sent tells whether a version has this kind of line at all.
func (i *Interface) sent(version int) bool {
	switch {
	case i.Type == "alias":
		return version >= 40
	case i.Type == "vlan" || i.Type == "loop":
		return version >= 27
	case i.Virtual || i.ofVNode():
		return version >= 10
	case i.INET == "": // only carries virtual ones
		return version >= 18
	}
	return true
}

// Append renders the reply. Lines that the version doesn't have are left out.
func (r IfConfig) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	c.appendSettings(r.Settings)
	for n := range r.Interfaces {
		i := &r.Interfaces[n]
		if !i.sent(c.version) {
			continue
		}
		c.begin(i.tag(c.version))
		i.fields(&c)
		c.end()
		c.appendSettings(i.Settings)
	}
	return c.dst
}

// tag is INTERFACE from version 16 on, to tell the lines from settings.
func (i *Interface) tag(version int) string {
	if version >= 16 || !i.Virtual && i.ofVNode() {
		return "INTERFACE"
	}
	return ""
}

func (c *codec) appendSettings(all []Setting) {
	if !c.since(16) {
		return
	}
	for i := range all {
		c.begin("INTERFACE_SETTING")
		all[i].fields(c)
		c.end()
	}
}
