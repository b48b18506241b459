package protocol

import "strings"

// Scope says to whom fullconfig sends a command's block (spec §4).
type Scope uint8

// ScopeAll is sent to both; a block of ScopeNone is never part of a fullconfig.
const (
	ScopeNone Scope = iota
	ScopePhys
	ScopeVirt
	ScopeAll
)

// Sent reports whether fullconfig has this block for a vnode (vnode true) or
// for a physical node.
func (s Scope) Sent(vnode bool) bool {
	return s == ScopeAll || vnode && s == ScopeVirt || !vnode && s == ScopePhys
}

// Flags are the conditions that tmcd puts on a command (spec §4).
type Flags uint8

const (
	// Allocated commands are for nodes of an experiment; a free node gets nothing.
	Allocated Flags = 1 << iota
	// RemUDP commands are answered over UDP even to remote nodes.
	RemUDP
	// RemReqSSL commands are answered to remote nodes over TLS only.
	RemReqSSL
	// RemNoSSL stands in the original's table and is never tested.
	RemNoSSL
	// ReqTPM commands want TLS with the certificate of the node's TPM.
	ReqTPM
	// MinLog commands are frequent and logged only when something is wrong.
	MinLog
	// MaxLog stands in the original's flag set; no row has it.
	MaxLog
	// Writes marks commands that may change the database (spec §7).
	Writes
)

// Has reports whether every flag of want is set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Command is a row of tmcd's command table.
type Command struct {
	Number int // 1 to 107: the place in match order
	Name   string
	Scope  Scope
	Flags  Flags
}

// Commands returns a copy of the table in match order.
func Commands() []Command { return append([]Command(nil), table[:]...) }

// geniPrefix begins the names of the GENI family, which alone has error replies.
const geniPrefix = "geni_"

// Lookup finds the command that tmcd runs for a request's word: the first row
// whose name the word begins with. So "nodeidXYZ" is nodeid and "stat" is
// nothing. A word that begins with "geni_" and matches no row is geni_invalid.
func Lookup(word string) (Command, bool) {
	for i := range table {
		if strings.HasPrefix(word, table[i].Name) {
			return table[i], true
		}
	}
	if strings.HasPrefix(word, geniPrefix) {
		return table[len(table)-1], true
	}
	return Command{}, false
}
