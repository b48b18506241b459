package protocol

// Routing is the reply to routing: how the node gets its routes, and those that
// the server computed. From version 19 on a server sends none for type static.
type Routing struct {
	Type   string // none, ospf, static, manual, static-ddijk, static-old; "": empty reply
	Routes []Route
	Extra  Extra
}

// Route is a line of Routing or RouteList. Addresses are dotted quads.
type Route struct {
	Node     string // name in the experiment; RouteList only
	Dest     string
	DestType string // host, net or default
	DestMask string
	NextHop  string
	Cost     int
	Src      string // address of the interface it leaves by, or empty; from version 12
	Extra    Extra
}

// RouteList is the reply to routelist: the same with the node's name, for
// simulators.
type RouteList Routing

// ParseRouting reads the reply to routing.
func ParseRouting(b []byte) (Routing, error) {
	var r Routing
	err := eachRecord(b, func(c *codec) error { return r.add(c, (*Route).fields) })
	return r, err
}

// ParseRouteList reads the reply to routelist.
func ParseRouteList(b []byte) (RouteList, error) {
	var r Routing
	err := eachRecord(b, func(c *codec) error { return r.add(c, (*Route).listFields) })
	return RouteList(r), err
}

// add takes a ROUTE line or, once, the line with the type.
func (r *Routing) add(c *codec, fields func(*Route, *codec)) error {
	switch {
	case c.tag == "ROUTE":
		var route Route
		if fields(&route, c); c.err == nil {
			r.Routes = append(r.Routes, route)
		}
	case c.tag == "" && r.Type == "":
		head := Routing{}
		if head.fields(c); c.err == nil {
			r.Type, r.Extra = head.Type, head.Extra
		}
	default:
		return unexpected(c.line)
	}
	return c.err
}

func (r *Routing) fields(c *codec) {
	c.must("ROUTERTYPE")
	c.text("ROUTERTYPE", &r.Type)
	c.extra(&r.Extra)
}

func (r *Route) fields(c *codec) {
	c.need("DEST", "NEXTHOP")
	r.target(c)
	if c.since(12) {
		c.text("SRC", &r.Src)
	}
	c.extra(&r.Extra)
}

func (r *Route) listFields(c *codec) {
	c.need("NODE", "DEST", "NEXTHOP")
	c.text("NODE", &r.Node)
	c.text("SRC", &r.Src)
	r.target(c)
	c.extra(&r.Extra)
}

func (r *Route) target(c *codec) {
	c.text("DEST", &r.Dest)
	c.text("DESTTYPE", &r.DestType)
	c.text("DESTMASK", &r.DestMask)
	c.text("NEXTHOP", &r.NextHop)
	c.number("COST", &r.Cost)
}

// Append renders the reply.
func (r Routing) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	r.appendHead(&c)
	for i := range r.Routes {
		c.begin("ROUTE")
		r.Routes[i].fields(&c)
		c.end()
	}
	return c.dst
}

// Append renders the reply.
func (r RouteList) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	(*Routing)(&r).appendHead(&c)
	for i := range r.Routes {
		c.begin("ROUTE")
		r.Routes[i].listFields(&c)
		c.end()
	}
	return c.dst
}

func (r *Routing) appendHead(c *codec) {
	if r.Type == "" {
		return
	}
	c.begin("")
	r.fields(c)
	c.end()
}
