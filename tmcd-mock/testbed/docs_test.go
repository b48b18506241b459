package testbed

import (
	"bytes"
	"os"
	"testing"
)

// TestDocs: the testbed of docs/testbed.md is right.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/testbed.md")
	if err != nil {
		t.Fatal(err)
	}
	_, b, found := bytes.Cut(b, []byte("```yaml\n"))
	text, _, closed := bytes.Cut(b, []byte("```\n"))
	if !found || !closed {
		t.Fatal("docs/testbed.md has no block of YAML")
	}
	db, err := Parse("docs/testbed.md", text)
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"nodes": 5, "users": 2, "groups": 2, "virt_programs": 1, "ntpinfo": 1, "client_services": 1} {
		if got := db.Len(table); got != want {
			t.Errorf("%d rows in %s, want %d", got, table, want)
		}
	}
	if content, ok := db.File("expwork/jails/demo/topomap.gz"); !ok || !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		t.Errorf("topomap.gz: %v", content)
	}
}
