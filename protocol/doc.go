// Package protocol is the language that Emulab's nodes speak with tmcd: requests,
// the table of commands, and a typed value for each reply. It holds values only.
// It never dials, reads no file, and believes nobody: every parser is bounded and
// made for hostile bytes.
//
// A request is tags, a command, and the bytes after it. ParseRequest reads one as
// tmcd does, Request.Append writes one as tmcc does:
//
//	r, err := protocol.ParseRequest([]byte("VNODEID=pcvm1-1 VERSION=40 creator "))
//
// A reply has a type with a parser and an Append, which render as tmcd of any
// VERSION from 2 to 40 does; 0 stands for a request without VERSION=:
//
//	c, err := protocol.ParseCreator([]byte("CREATOR=alice SWAPPER=bob\n"))
//	b := c.Append(nil, 20) // "CREATOR=alice\n"
//
// A parser's error names the lines that can't be read (LineError); the value
// holds all others, so a caller may warn and go on, as Emulab's own scripts do.
// Words that a type has no field for are kept in its Extra. An empty reply is
// the zero value, or ErrEmptyReply where zero would mean something.
//
// Each family has its file. Facts are in docs/spec/protocol.md, whose sections
// are cited as spec §n, and in docs/spec/jail.md.
package protocol
