package protocol

// Programs is the reply to programs: the program objects of a node, started by
// its program agent.
type Programs struct {
	UID      string // login that they run as; "": empty reply
	Programs []Program
	Extra    Extra
}

// Program is an AGENT line.
type Program struct {
	Name             string
	Dir              string // may be empty; these three from version 23
	Timeout          string // seconds; may be empty
	ExpectedExitCode string // may be empty
	Command          string // for a shell, as the user wrote it; from version 13
	Extra            Extra
}

// ParsePrograms reads the reply to programs.
func ParsePrograms(b []byte) (Programs, error) {
	var p Programs
	err := eachRecord(b, func(c *codec) error {
		if c.tag == "" && c.find("AGENT") < 0 && p.UID == "" {
			head := Programs{}
			if head.fields(c); c.err == nil {
				p.UID, p.Extra = head.UID, head.Extra
			}
			return c.err
		}
		var err error
		p.Programs, err = addRecord[Program](c, "", p.Programs)
		return err
	})
	return p, err
}

func (p *Programs) fields(c *codec) {
	c.must("UID")
	c.text("UID", &p.UID)
	c.extra(&p.Extra)
}

func (p *Program) fields(c *codec) {
	c.must("AGENT")
	c.text("AGENT", &p.Name)
	if c.since(23) {
		c.option("DIR", &p.Dir)
		c.option("TIMEOUT", &p.Timeout)
		c.option("EXPECTED_EXIT_CODE", &p.ExpectedExitCode)
	}
	if c.since(13) {
		c.free("COMMAND", '\'', &p.Command)
	}
	c.extra(&p.Extra)
}

// Append renders the reply.
func (p Programs) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	if p.UID != "" {
		c.begin("")
		p.fields(&c)
		c.end()
	}
	for i := range p.Programs {
		c.begin("")
		p.Programs[i].fields(&c)
		c.end()
	}
	return c.dst
}

// TrafGens is the reply to trafgens: the ends of traffic streams on a node. The
// rate and the size of packets come later, as events.
type TrafGens []TrafGen

// TrafGen is a line of TrafGens.
type TrafGen struct {
	Name      string
	MyName    string // address or, when none is known, vnode-0
	MyPort    int
	PeerName  string
	PeerPort  int
	Proto     string // udp or tcp
	Role      string // source or sink
	Generator string // TG or NSE
	Extra     Extra
}

// ParseTrafGens reads the reply to trafgens.
func ParseTrafGens(b []byte) (TrafGens, error) { return parseRecords[TrafGen](b, "") }

func (t *TrafGen) fields(c *codec) {
	c.must("TRAFGEN", "MYNAME", "MYPORT", "PEERNAME", "PEERPORT")
	c.text("TRAFGEN", &t.Name)
	c.text("MYNAME", &t.MyName)
	c.number("MYPORT", &t.MyPort)
	c.text("PEERNAME", &t.PeerName)
	c.number("PEERPORT", &t.PeerPort)
	c.text("PROTO", &t.Proto)
	c.text("ROLE", &t.Role)
	c.text("GENERATOR", &t.Generator)
	c.extra(&t.Extra)
}

// Append renders the reply.
func (t TrafGens) Append(dst []byte, version int) []byte {
	return appendRecords[TrafGen](dst, version, "", t)
}

// Traces is the reply to traceinfo: packets to capture.
type Traces []Trace

// Trace is a line of Traces.
type Trace struct {
	LinkName   string
	Index      int
	MAC0, MAC1 string
	VNode      string
	VNodeMAC   string
	Type       string // header, packet or monitor
	Expr       string // filter; may be empty
	SnapLen    string // bytes; may be empty
	Extra      Extra
}

// ParseTraces reads the reply to traceinfo.
func ParseTraces(b []byte) (Traces, error) { return parseRecords[Trace](b, "TRACE") }

func (t *Trace) fields(c *codec) {
	c.need("LINKNAME", "IDX")
	c.text("LINKNAME", &t.LinkName)
	c.number("IDX", &t.Index)
	c.text("MAC0", &t.MAC0)
	c.text("MAC1", &t.MAC1)
	c.text("VNODE", &t.VNode)
	c.text("VNODE_MAC", &t.VNodeMAC)
	c.text("TRACE_TYPE", &t.Type)
	c.free("TRACE_EXPR", '\'', &t.Expr)
	c.text("TRACE_SNAPLEN", &t.SnapLen)
	c.extra(&t.Extra)
}

// Append renders the reply.
func (t Traces) Append(dst []byte, version int) []byte {
	return appendRecords[Trace](dst, version, "TRACE", t)
}
