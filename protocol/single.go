package protocol

import (
	"errors"
	"strings"
)

// The replies of this file are one line each (spec §6). Where a zero value means
// that tmcd said nothing, it is parsed from, and renders as, an empty reply.

// NodeID is the reply to nodeid: one word. "" is an empty reply.
type NodeID string

// NodeUUID is the reply to nodeuuid: one word.
type NodeUUID string

// Role is the reply to role: node, virthost, delaynode, sharedhost, subboss or
// storagehost.
type Role string

// ParseNodeID reads the reply to nodeid.
func ParseNodeID(b []byte) (NodeID, error) { return parseWord[NodeID](b) }

// ParseNodeUUID reads the reply to nodeuuid.
func ParseNodeUUID(b []byte) (NodeUUID, error) { return parseWord[NodeUUID](b) }

// ParseRole reads the reply to role.
func ParseRole(b []byte) (Role, error) { return parseWord[Role](b) }

// Append renders the reply.
func (n NodeID) Append(dst []byte, _ int) []byte { return appendWord(dst, string(n)) }

// Append renders the reply.
func (n NodeUUID) Append(dst []byte, _ int) []byte { return appendWord(dst, string(n)) }

// Append renders the reply.
func (r Role) Append(dst []byte, _ int) []byte { return appendWord(dst, string(r)) }

func parseWord[T ~string](b []byte) (T, error) {
	if len(b) == 0 {
		return "", nil
	}
	text, whole := strings.CutSuffix(string(b), "\n")
	switch {
	case !whole:
		return "", &LineError{Line: 1, Err: ErrCutOff}
	case text == "" || strings.ContainsAny(text, " \n"):
		return "", &LineError{Line: 1, Err: errors.New("one word was expected")}
	}
	return T(text), nil
}

func appendWord(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, s...)
	return append(dst, '\n')
}

// Status is the reply to status: whether the node belongs to an experiment.
type Status struct {
	Free     bool
	PID, EID string // project and experiment; both empty: an empty reply
	NickName string // the node's name in the experiment
	Extra    Extra
}

// ParseStatus reads the reply to status.
func ParseStatus(b []byte) (Status, error) {
	if string(b) == "FREE\n" {
		return Status{Free: true}, nil
	}
	return parseRecord[Status](b, "")
}

func (s *Status) fields(c *codec) {
	c.need("ALLOCATED")
	allocated := ""
	if !c.parsing {
		c.key("ALLOCATED")
		c.value(s.PID)
		c.dst = append(c.dst, '/')
		c.value(s.EID)
	} else {
		c.text("ALLOCATED", &allocated)
		var both bool
		if s.PID, s.EID, both = strings.Cut(allocated, "/"); !both || s.PID == "" {
			c.fail(errors.New("ALLOCATED= is not project/experiment"))
		}
	}
	c.text("NICKNAME", &s.NickName)
	c.extra(&s.Extra)
}

// Append renders the reply.
func (s Status) Append(dst []byte, version int) []byte {
	switch {
	case s.Free:
		return append(dst, "FREE\n"...)
	case s.PID == "":
		return dst
	}
	return appendRecord(dst, version, "", &s)
}

// Creator is the reply to creator: who made the experiment, and who swapped it
// in. Start command and programs run as Swapper.
type Creator struct {
	Creator string
	Swapper string // from version 21
	Extra   Extra
}

// ParseCreator reads the reply to creator.
func ParseCreator(b []byte) (Creator, error) { return parseRecord[Creator](b, "") }

func (r *Creator) fields(c *codec) {
	c.need("CREATOR")
	c.text("CREATOR", &r.Creator)
	if c.since(21) {
		c.text("SWAPPER", &r.Swapper)
	}
	c.extra(&r.Extra)
}

// Append renders the reply; nothing, if this version has nothing to say.
func (r Creator) Append(dst []byte, version int) []byte {
	if r.Creator == "" && (r.Swapper == "" || version < 21) && r.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "", &r)
}

// StartupCmd is the reply to startupcmd: a shell command and who runs it.
type StartupCmd struct {
	Command string // as the user wrote it; no quoting on the wire
	UID     string // login
	Extra   Extra
}

// ParseStartupCmd reads the reply to startupcmd.
func ParseStartupCmd(b []byte) (StartupCmd, error) { return parseRecord[StartupCmd](b, "") }

func (s *StartupCmd) fields(c *codec) {
	c.need("CMD", "UID")
	c.free("CMD", '\'', &s.Command)
	c.text("UID", &s.UID)
	c.extra(&s.Extra)
}

// Append renders the reply.
func (s StartupCmd) Append(dst []byte, version int) []byte {
	if s.Command == "" && s.UID == "" && s.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "", &s)
}

// SyncServer is the reply to syncserver: where the experiment's synchronization
// server runs.
type SyncServer struct {
	Server   string // full name
	IsServer bool   // it is this node
	Extra    Extra
}

// ParseSyncServer reads the reply to syncserver.
func ParseSyncServer(b []byte) (SyncServer, error) {
	return parseRecord[SyncServer](b, "SYNCSERVER")
}

func (s *SyncServer) fields(c *codec) {
	c.need("SERVER")
	c.quoted("SERVER", '\'', &s.Server)
	c.flag("ISSERVER", &s.IsServer)
	c.extra(&s.Extra)
}

// Append renders the reply.
func (s SyncServer) Append(dst []byte, version int) []byte {
	if s.Server == "" && !s.IsServer && s.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "SYNCSERVER", &s)
}
