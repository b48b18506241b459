package answer_test

import (
	"testing"

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
}

// TestRootPasswordEmpty: an empty password is one.
func TestRootPasswordEmpty(t *testing.T) {
	tb := with(t, "node_attributes", []columns{{"node_id": "pc1", "attrkey": "root_password", "attrvalue": ""}})
	// As openssl passwd -1 -salt 00000000 '' has it.
	visit{"rootpswd", "", "VERSION=40 rootpswd ", "HASH=$1$00000000$BAs7ZXPbyiSMzzbbHoEP4/\n", ""}.check(t, tb)
}
