package protocol

// Delays is the reply to delay: what a delay node does to the links that run
// through it.
type Delays []Delay

// Delay is a line of Delays: a link between two interfaces of the delay node.
type Delay struct {
	INT0, INT1     string // MACs, 12 hexadecimal digits
	Pipe0, Pipe1   Pipe   // one direction and the other
	LinkName       string
	RED0, RED1     bool
	Queue0, Queue1 Queue
	VNode0, VNode1 string
	NoShaping      bool
	Backfill0      int // kbit/s
	Backfill1      int
	Extra          Extra
}

// LinkDelays is the reply to linkdelay: shaping that a node does itself, on its
// own interfaces.
type LinkDelays []LinkDelay

// LinkDelay is a line of LinkDelays. Pipe is what leaves the node; RPipe is the
// way back and means something for type duplex only.
type LinkDelay struct {
	IFace    string // MAC of the virtual interface
	Type     string // simplex or duplex
	LinkName string
	VNode    string
	INET     string
	Mask     string
	Pipe     Pipe
	RPipe    Pipe
	RED      bool
	Queue    Queue
	Extra    Extra
}

// Pipe shapes one direction.
type Pipe struct {
	Pipe  int     // number of the pipe
	Delay float64 // milliseconds, to a hundredth
	BW    int     // kbit/s; 0: no limit
	PLR   float64 // share of packets lost, 0 to 1, to eight digits
}

// Queue describes the queue before a pipe.
type Queue struct {
	Limit     int // packets, or bytes with QInBytes
	MaxThresh int
	MinThresh int
	Weight    float64
	LinTerm   int
	QInBytes  bool
	Bytes     int
	MeanPSize int
	Wait      int
	SetBit    int
	DropTail  int
	Gentle    int
}

// ParseDelays reads the reply to delay.
func ParseDelays(b []byte) (Delays, error) { return parseRecords[Delay](b, "DELAY") }

// ParseLinkDelays reads the reply to linkdelay.
func ParseLinkDelays(b []byte) (LinkDelays, error) {
	return parseRecords[LinkDelay](b, "LINKDELAY")
}

// pipeKeys and queueKeys are the words of a Pipe and a Queue; a link that runs
// both ways has them twice.
type pipeKeys struct{ pipe, delay, bw, plr string }

type queueKeys struct {
	limit, maxThresh, minThresh, weight, linTerm, qInBytes, bytes, meanPSize, wait, setBit, dropTail, gentle string
}

func (k pipeKeys) fields(c *codec, p *Pipe) {
	c.need(k.pipe, k.delay, k.bw, k.plr)
	c.number(k.pipe, &p.Pipe)
	c.fixed(k.delay, 2, &p.Delay)
	c.number(k.bw, &p.BW)
	c.fixed(k.plr, 8, &p.PLR)
}

func (k queueKeys) fields(c *codec, q *Queue) {
	c.number(k.limit, &q.Limit)
	c.number(k.maxThresh, &q.MaxThresh)
	c.number(k.minThresh, &q.MinThresh)
	c.fixed(k.weight, -1, &q.Weight)
	c.number(k.linTerm, &q.LinTerm)
	c.flag(k.qInBytes, &q.QInBytes)
	c.number(k.bytes, &q.Bytes)
	c.number(k.meanPSize, &q.MeanPSize)
	c.number(k.wait, &q.Wait)
	c.number(k.setBit, &q.SetBit)
	c.number(k.dropTail, &q.DropTail)
	c.number(k.gentle, &q.Gentle)
}

func (d *Delay) fields(c *codec) {
	c.need("INT0", "INT1")
	c.text("INT0", &d.INT0)
	c.text("INT1", &d.INT1)
	pipeKeys{"PIPE0", "DELAY0", "BW0", "PLR0"}.fields(c, &d.Pipe0)
	pipeKeys{"PIPE1", "DELAY1", "BW1", "PLR1"}.fields(c, &d.Pipe1)
	c.text("LINKNAME", &d.LinkName)
	c.flag("RED0", &d.RED0)
	c.flag("RED1", &d.RED1)
	queueKeys{
		"LIMIT0", "MAXTHRESH0", "MINTHRESH0", "WEIGHT0", "LINTERM0", "QINBYTES0",
		"BYTES0", "MEANPSIZE0", "WAIT0", "SETBIT0", "DROPTAIL0", "GENTLE0",
	}.fields(c, &d.Queue0)
	queueKeys{
		"LIMIT1", "MAXTHRESH1", "MINTHRESH1", "WEIGHT1", "LINTERM1", "QINBYTES1",
		"BYTES1", "MEANPSIZE1", "WAIT1", "SETBIT1", "DROPTAIL1", "GENTLE1",
	}.fields(c, &d.Queue1)
	c.text("VNODE0", &d.VNode0)
	c.text("VNODE1", &d.VNode1)
	c.flag("NOSHAPING", &d.NoShaping)
	c.number("BACKFILL0", &d.Backfill0)
	c.number("BACKFILL1", &d.Backfill1)
	c.extra(&d.Extra)
}

func (d *LinkDelay) fields(c *codec) {
	c.need("IFACE", "TYPE")
	c.text("IFACE", &d.IFace)
	c.text("TYPE", &d.Type)
	c.text("LINKNAME", &d.LinkName)
	c.text("VNODE", &d.VNode)
	c.text("INET", &d.INET)
	c.text("MASK", &d.Mask)
	pipeKeys{"PIPE", "DELAY", "BW", "PLR"}.fields(c, &d.Pipe)
	pipeKeys{"RPIPE", "RDELAY", "RBW", "RPLR"}.fields(c, &d.RPipe)
	c.flag("RED", &d.RED)
	queueKeys{
		"LIMIT", "MAXTHRESH", "MINTHRESH", "WEIGHT", "LINTERM", "QINBYTES",
		"BYTES", "MEANPSIZE", "WAIT", "SETBIT", "DROPTAIL", "GENTLE",
	}.fields(c, &d.Queue)
	c.extra(&d.Extra)
}

// Append renders the reply.
func (d Delays) Append(dst []byte, version int) []byte {
	return appendRecords[Delay](dst, version, "DELAY", d)
}

// Append renders the reply.
func (d LinkDelays) Append(dst []byte, version int) []byte {
	return appendRecords[LinkDelay](dst, version, "LINKDELAY", d)
}
