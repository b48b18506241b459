package protocol

import "errors"

// VNodeList is the reply to vnodelist: the vnodes on a host.
type VNodeList []VNode

// VNode is a line of VNodeList.
type VNode struct {
	ID     string
	Jailed bool // from version 7
	Extra  Extra
}

// ParseVNodeList reads the reply to vnodelist.
func ParseVNodeList(b []byte) (VNodeList, error) {
	var all VNodeList
	err := eachRecord(b, func(c *codec) error {
		if c.tag != "" && len(c.words) == 0 { // before version 7: the bare name
			if !isNodeID(c.line) {
				return errNodeID
			}
			all = append(all, VNode{ID: c.tag})
			return nil
		}
		nodes, err := addRecord[VNode](c, "", all)
		all = nodes
		return err
	})
	return all, err
}

func (v *VNode) fields(c *codec) {
	c.need("VNODEID")
	c.text("VNODEID", &v.ID)
	c.flag("JAILED", &v.Jailed)
	c.extra(&v.Extra)
	if c.parsing && !isNodeID(v.ID) {
		c.fail(errNodeID)
	}
}

var errNodeID = errors.New("no node id")

func isNodeID(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

// Append renders the reply.
func (l VNodeList) Append(dst []byte, version int) []byte {
	if version >= 7 {
		return appendRecords[VNode](dst, version, "", l)
	}
	for i := range l {
		dst = appendWord(dst, l[i].ID)
	}
	return dst
}

// SubNodeList is the reply to subnodelist: nodes that hang on this one.
type SubNodeList []SubNode

// SubNode is a line of SubNodeList.
type SubNode struct {
	ID    string
	Type  string // class, such as ixp
	Extra Extra
}

// ParseSubNodeList reads the reply to subnodelist.
func ParseSubNodeList(b []byte) (SubNodeList, error) { return parseRecords[SubNode](b, "") }

func (s *SubNode) fields(c *codec) {
	c.need("NODEID")
	c.text("NODEID", &s.ID)
	c.text("TYPE", &s.Type)
	c.extra(&s.Extra)
}

// Append renders the reply.
func (l SubNodeList) Append(dst []byte, version int) []byte {
	return appendRecords[SubNode](dst, version, "", l)
}
