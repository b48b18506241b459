package answer_test

import (
	"strings"
	"testing"
)

// TestLocalization: an empty key is told, one that isn't there isn't.
func TestLocalization(t *testing.T) {
	for value, want := range map[any]string{"": "ROOTPUBKEY=''\n", nil: "", "k": "ROOTPUBKEY='k'\n"} {
		tb := recordedBed(t)
		alter(tb, "sitevariables", "name", "node/ssh_pubkey", columns{"value": value, "defaultvalue": "other"})
		visit{"key", "", "VERSION=40 localization ", want, ""}.check(t, tb)
	}
}

// TestInterfaceMap: nodes by name, told apart by eight characters.
func TestInterfaceMap(t *testing.T) {
	tb := with(t, "interfaces", []columns{{"node_id": "pcvm1-100", "mac": "b"}, {"node_id": "pcvm1-10", "mac": "a"}, {"node_id": "boss", "mac": "c"}, {"node_id": "pc10", "mac": "d"}})
	got := string(ask(t, tb, "127.0.0.1", "tcp", "VERSION=40 intfcmap ").Reply)
	if !strings.Contains(got, "\npc10 d\npc2 ") || !strings.Contains(got, "\npcvm1-1 020000000101\npcvm1-10 a b\npcvm1-2 ") || strings.Contains(got, "boss") {
		t.Errorf("intfcmap %q", got)
	}
}

// TestNodeAttributes: an attribute without a value isn't told; a Xen host is
// told that the site lets it route.
func TestNodeAttributes(t *testing.T) {
	tb := with(t, "virt_node_attributes", []columns{{"exptidx": int64(103), "vname": "vhost-shared", "attrkey": "A", "attrvalue": nil},
		{"exptidx": int64(103), "vname": "vhost-shared", "attrkey": "B", "attrvalue": ""}})
	visit{"a Xen host", "127.0.0.3", "VERSION=40 nodeattributes ", "B=\"\"\n", ""}.check(t, tb)
	alter(tb, "sitevariables", "name", "general/xenvifrouting", columns{"value": "0"})
	visit{"a Xen host that routes", "127.0.0.3", "VERSION=40 nodeattributes ", "B=\"\"\nxenvifrouting=1\n", ""}.check(t, tb)
	visit{"its vnode", "127.0.0.3", "VNODEID=pcvm3-1 VERSION=40 nodeattributes ", "", ""}.check(t, tb)
}
