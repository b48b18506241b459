package answer

import (
	"fmt"

	"emujail/protocol"
)

// check refuses what a node may not ask, in tmcd's order
// (docs/spec/protocol.md §4); "" lets the command run.
func check(who asker, q Query) string {
	command, ok := protocol.Lookup(q.Request.Command)
	tls := q.Transport == TLS
	switch {
	case q.Transport == TCP && who.phys.Is("role", "ctrlnode"):
		return fmt.Sprintf("control node %s without TLS", who.host)
	case !ok:
		return fmt.Sprintf("unknown command %q", q.Request.Command)
	case q.Transport == UDP && !who.local && !command.Flags.Has(protocol.RemUDP):
		return fmt.Sprintf("%s over UDP from remote node %s", command.Name, who.id)
	case q.Transport == TCP && !who.local && command.Flags.Has(protocol.RemReqSSL):
		return fmt.Sprintf("%s without TLS from remote node %s", command.Name, who.id)
	case !who.allocated() && command.Flags.Has(protocol.Allocated):
		return fmt.Sprintf("%s from %s, which is free", command.Name, who.id)
	case command.Flags.Has(protocol.ReqTPM) && !tls:
		return fmt.Sprintf("%s without TLS", command.Name)
	case command.Flags.Has(protocol.ReqTPM):
		return fmt.Sprintf("%s without a certificate of the node's TPM", command.Name)
	}
	return ""
}
