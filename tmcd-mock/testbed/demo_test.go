package testbed

import (
	"os"
	"strings"
	"testing"
)

// TestDemo reads testdata/demo.yaml with its placeholders filled in.
func TestDemo(t *testing.T) {
	b, err := os.ReadFile("../../testdata/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("@CONTROL@", "172.16.1", "@ALICE_KEY@", "ssh-ed25519 AAAA alice@demo",
		"@BOB_KEY@", "ssh-ed25519 BBBB bob@demo", "@WEBPORT@", "8088")
	db, err := Parse("demo.yaml", []byte(fill.Replace(string(b))))
	if err != nil {
		t.Fatal(err)
	}
	if len(db.Schedule) != 2 || db.Schedule[0].Action != "MODIFY" || len(db.Schedule[0].Args) != 4 {
		t.Errorf("schedule: %+v", db.Schedule)
	}
	if got := db.Site.WebServer(); got != "172.16.1.0:8088" {
		t.Errorf("web server %q", got)
	}
	if n := db.Len("vinterfaces"); n != 2 {
		t.Errorf("%d virtual interfaces, want 2", n)
	}
}
