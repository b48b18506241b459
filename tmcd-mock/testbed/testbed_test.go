package testbed

import "testing"

func TestBuiltin(t *testing.T) {
	tb, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	tb.Read(func(db *DB) {
		if got := db.First("nodes", "jailip", "172.16.1.2").Text("node_id"); got != "pcvm1-2" {
			t.Errorf("node with jailip 172.16.1.2 is %q", got)
		}
	})
}
