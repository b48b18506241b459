package answer

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// check refuses what a node may not ask, in tmcd's order
// (docs/spec/protocol.md §4); "" lets the command run.
func check(db *testbed.DB, who asker, q Query) string {
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
	case command.Flags.Has(protocol.ReqTPM) && !hasTPM(db, who, q.Peer):
		return fmt.Sprintf("%s without a certificate of the node's TPM", command.Name)
	}
	return ""
}

// hasTPM reports whether a client's certificate is the one of the node's TPM,
// of which the database has a copy.
func hasTPM(db *testbed.DB, who asker, peer []byte) bool {
	rest := []byte(db.First("node_hostkeys", "node_id", who.id).Text("tpmx509"))
	for {
		block, more := pem.Decode(rest)
		if block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, "CERTIFICATE") {
			return bytes.Equal(block.Bytes, peer)
		}
		rest = more
	}
}
