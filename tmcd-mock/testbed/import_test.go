package testbed

import (
	"bytes"
	"os"
	"testing"
)

const recordedJSON = "../../testdata/vectors/testbed.json"

// TestImport: rows → YAML → rows → JSON → rows, and nothing is lost.
func TestImport(t *testing.T) {
	b, err := os.ReadFile(recordedJSON)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := DecodeJSON("testbed.json", b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Import(rows)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("As plain rows only")) {
		t.Errorf("%s", bytes.SplitN(text, []byte("\n"), 2)[0])
	}
	if os.Getenv("SHOW") != "" {
		os.Stdout.Write(text)
	}
	again, err := Parse("recorded.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Difference(again, rows); diff != "" {
		t.Error(diff)
	}
	var out bytes.Buffer
	if err := again.Export(&out); err != nil {
		t.Fatal(err)
	}
	exported, err := DecodeJSON("export", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := Difference(exported, rows); diff != "" {
		t.Error("after export: ", diff)
	}
}
