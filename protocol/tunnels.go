package protocol

// Tunnels is the reply to tunnels: the properties of the node's ends of tunnels,
// one a line.
type Tunnels []TunnelKey

// TunnelKey is a line of Tunnels: one property of one member of a tunnel's LAN.
// Keys are tunnel_ip, tunnel_peerip, tunnel_srcip, tunnel_dstip,
// tunnel_isserver, tunnel_secretkey, tunnel_ipmask, tunnel_serverport,
// tunnel_lan, tunnel_unit, tunnel_tag, tunnel_mac and tunnel_style.
type TunnelKey struct {
	Tunnel int // id of the LAN
	Member int
	Key    string
	Value  string
	Extra  Extra
}

// Tunnel is what Tunnels say about one member of a tunnel's LAN.
type Tunnel struct {
	ID, Member int
	Values     map[string]string // by key
}

// ParseTunnels reads the reply to tunnels.
func ParseTunnels(b []byte) (Tunnels, error) { return parseRecords[TunnelKey](b, "") }

func (t *TunnelKey) fields(c *codec) {
	c.need("TUNNEL", "MEMBER", "KEY", "VALUE")
	c.number("TUNNEL", &t.Tunnel)
	c.number("MEMBER", &t.Member)
	c.quoted("KEY", '\'', &t.Key)
	c.quoted("VALUE", '\'', &t.Value)
	c.extra(&t.Extra)
}

// Members gathers the lines by tunnel and member, in the order in which each
// comes first.
func (t Tunnels) Members() []Tunnel {
	var all []Tunnel
	at := map[[2]int]int{}
	for _, k := range t {
		id := [2]int{k.Tunnel, k.Member}
		i, ok := at[id]
		if !ok {
			i = len(all)
			at[id] = i
			all = append(all, Tunnel{ID: k.Tunnel, Member: k.Member, Values: map[string]string{}})
		}
		all[i].Values[k.Key] = k.Value
	}
	return all
}

// Append renders the reply.
func (t Tunnels) Append(dst []byte, version int) []byte {
	return appendRecords[TunnelKey](dst, version, "", t)
}
