package answer_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
)

// TestRootPassword is made once and hashed with a new salt each time; a vnode
// has its host's.
func TestRootPassword(t *testing.T) {
	tb := recordedBed(t)
	first := string(ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 rootpswd ").Reply)
	again := string(ask(t, tb, "127.0.0.1", answer.TCP, "VERSION=40 rootpswd ").Reply)
	// crypt("000000000000", "$1$00000000"), as openssl passwd -1 has it.
	const want = "HASH=$1$00000000$0.E99WjJ/CMNEpV.0YBkQ1\n"
	if first != again {
		t.Errorf("the vnode's %q, the host's %q", first, again)
	}
	if first != want {
		t.Errorf("got %q, want %q", first, want)
	}
	req, err := protocol.ParseRequest([]byte("VERSION=40 rootpswd "))
	if err != nil {
		t.Fatal(err)
	}
	salts := map[string]bool{}
	for range 3 {
		reply := answer.Answer(tb, answer.Query{Source: netip.MustParseAddr("127.0.0.1"), Transport: answer.TCP, Request: req}).Reply
		salts[strings.Split(string(reply), "$")[2]] = true
	}
	if len(salts) != 3 {
		t.Errorf("salts of three answers: %q", slices.Collect(maps.Keys(salts)))
	}
}

// TestRootPasswordEmpty: an empty password is one.
func TestRootPasswordEmpty(t *testing.T) {
	tb := with(t, "node_attributes", []columns{{"node_id": "pc1", "attrkey": "root_password", "attrvalue": ""}})
	// As openssl passwd -1 -salt 00000000 '' has it.
	visit{"rootpswd", "", "VERSION=40 rootpswd ", "HASH=$1$00000000$BAs7ZXPbyiSMzzbbHoEP4/\n", ""}.check(t, tb)
}
