package protocol

// Update is the reply to isalive and rusage: whether, or how many times, the
// node should update its accounts and mounts.
type Update struct {
	Update int
	Extra  Extra
}

// IsAlive is the reply to isalive: 0 or 1.
type IsAlive = Update

// ParseUpdate reads the reply to isalive or rusage. An empty one is
// ErrEmptyReply.
func ParseUpdate(b []byte) (Update, error) { return parseOne[Update](b) }

// ParseIsAlive reads the reply to isalive. An empty one is ErrEmptyReply.
func ParseIsAlive(b []byte) (IsAlive, error) { return ParseUpdate(b) }

// parseOne reads a line where nothing is no answer.
func parseOne[T any, P record[T]](b []byte) (T, error) {
	if len(b) == 0 {
		var none T
		return none, ErrEmptyReply
	}
	return parseRecord[T, P](b, "")
}

func (u *Update) fields(c *codec) {
	c.need("UPDATE")
	c.number("UPDATE", &u.Update)
	c.extra(&u.Extra)
}

// Append renders the reply.
func (u Update) Append(dst []byte, version int) []byte {
	return appendRecord(dst, version, "", &u)
}

// ReadyCount is the reply to readycount: how many nodes of the experiment have
// reported ready.
type ReadyCount struct {
	Ready, Total int
	Extra        Extra
}

// ParseReadyCount reads the reply to readycount. An empty one is ErrEmptyReply.
func ParseReadyCount(b []byte) (ReadyCount, error) { return parseOne[ReadyCount](b) }

func (r *ReadyCount) fields(c *codec) {
	c.need("READY", "TOTAL")
	c.number("READY", &r.Ready)
	c.number("TOTAL", &r.Total)
	c.extra(&r.Extra)
}

// Append renders the reply.
func (r ReadyCount) Append(dst []byte, version int) []byte {
	return appendRecord(dst, version, "", &r)
}

// WatchdogInfo is the reply to watchdoginfo: seconds between a watchdog's
// duties; 0 is never, -1 leaves it as it is.
type WatchdogInfo struct {
	Interval    int // asking for this
	IsAlive     int
	NTPDrift    int
	CVSup       int
	RUsage      int
	HostKeys    int
	DHCPDConf   int
	SetRootPswd int // from version 29
	Extra       Extra
}

// ParseWatchdogInfo reads the reply to watchdoginfo. An empty one is
// ErrEmptyReply.
func ParseWatchdogInfo(b []byte) (WatchdogInfo, error) { return parseOne[WatchdogInfo](b) }

func (w *WatchdogInfo) fields(c *codec) {
	c.need("INTERVAL", "ISALIVE")
	c.number("INTERVAL", &w.Interval)
	c.number("ISALIVE", &w.IsAlive)
	c.number("NTPDRIFT", &w.NTPDrift)
	c.number("CVSUP", &w.CVSup)
	c.number("RUSAGE", &w.RUsage)
	c.number("HOSTKEYS", &w.HostKeys)
	c.number("DHCPDCONF", &w.DHCPDConf)
	if c.since(29) {
		c.number("SETROOTPSWD", &w.SetRootPswd)
	}
	c.extra(&w.Extra)
}

// Append renders the reply.
func (w WatchdogInfo) Append(dst []byte, version int) []byte {
	return appendRecord(dst, version, "", &w)
}

// PortRegistration is the reply to portregister with a service's name alone:
// where that service listens. The zero value is an empty reply: nowhere.
type PortRegistration struct {
	Port   int
	NodeID string // full name
	Extra  Extra
}

// ParsePortRegistration reads the reply to portregister.
func ParsePortRegistration(b []byte) (PortRegistration, error) {
	return parseRecord[PortRegistration](b, "")
}

func (p *PortRegistration) fields(c *codec) {
	c.need("PORT", "NODEID")
	c.number("PORT", &p.Port)
	c.text("NODEID", &p.NodeID)
	c.extra(&p.Extra)
}

// Append renders the reply.
func (p PortRegistration) Append(dst []byte, version int) []byte {
	if p.Port == 0 && p.NodeID == "" && p.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "", &p)
}
