package testbed

import (
	"os"
	"testing"
)

// FuzzParse: any file is a testbed or an error; what is a testbed survives
// import.
func FuzzParse(f *testing.F) {
	demo, err := os.ReadFile("../../testdata/demo.yaml")
	if err != nil {
		f.Fatal(err)
	}
	seeds := [][]byte{builtin, demo, []byte(base), []byte("rows: {nodes: [{a: 1.0, b: null, c: '~'}]}"), {}}
	for _, s := range seeds {
		f.Add(s)
	}
	if len(seeds) != 5 {
		f.Fatalf("%d seeds, want 5", len(seeds))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		db, err := Parse("fuzz.yaml", text)
		if err != nil {
			return
		}
		db.Faults, db.Timeline = Section{}, Section{} // not ours to understand
		out, err := Import(db)
		if err != nil {
			t.Fatalf("import: %v", err)
		}
		again, err := Parse("again.yaml", out)
		if err != nil {
			t.Fatalf("parse what import wrote: %v\n%s", err, out)
		}
		if diff := Difference(again, db); diff != "" {
			t.Fatalf("%s\n%s", diff, out)
		}
	})
}
