package protocol

// Mounts is the reply to mounts: the file systems that a node shares.
type Mounts struct {
	FSType    string // NFS, NFS-RACY, SFS or LOCAL; from version 32
	Transport string // UDP, TCP or osdefault; empty for LOCAL; from version 32
	Mounts    []Mount
	Extra     Extra
}

// Mount is one directory. With FSType LOCAL it is made, not mounted, and Remote
// is empty.
type Mount struct {
	Remote string // server:path
	Local  string // path
	SFS    bool
	Extra  Extra
}

// ParseMounts reads the reply to mounts.
func ParseMounts(b []byte) (Mounts, error) {
	var m Mounts
	err := eachRecord(b, func(c *codec) error {
		if c.find("FSTYPE") >= 0 {
			return m.setHead(c)
		}
		var err error
		switch c.tag {
		case "", "SFS":
			if m.Mounts, err = addRecord[Mount](c, c.tag, m.Mounts); err == nil {
				m.Mounts[len(m.Mounts)-1].SFS = c.tag == "SFS"
			}
		default:
			err = unexpected(c.tag)
		}
		return err
	})
	return m, err
}

// setHead takes the line with the type, once.
func (m *Mounts) setHead(c *codec) error {
	if c.tag != "" || m.FSType != "" {
		return unexpected(c.line)
	}
	var head Mounts
	if head.fields(c); c.err == nil {
		m.FSType, m.Transport, m.Extra = head.FSType, head.Transport, head.Extra
	}
	return c.err
}

func (m *Mounts) fields(c *codec) {
	c.must("FSTYPE")
	c.text("FSTYPE", &m.FSType)
	c.option("TRANSPORT", &m.Transport)
	c.extra(&m.Extra)
}

func (m *Mount) fields(c *codec) {
	c.must("LOCAL")
	c.option("REMOTE", &m.Remote)
	c.text("LOCAL", &m.Local)
	c.extra(&m.Extra)
}

// Append renders the reply. Before version 32 there are no local directories.
func (m Mounts) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	if m.FSType != "" && c.since(32) {
		c.begin("")
		m.fields(&c)
		c.end()
	}
	for i := range m.Mounts {
		one := &m.Mounts[i]
		if one.Remote == "" && !c.since(32) {
			continue
		}
		c.begin(one.tag())
		one.fields(&c)
		c.end()
	}
	return c.dst
}

func (m *Mount) tag() string {
	if m.SFS {
		return "SFS"
	}
	return ""
}
