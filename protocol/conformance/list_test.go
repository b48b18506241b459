package conformance_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"emujail/protocol/conformance"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// The page lists the rows as they are. A row's id that is in the committed page
// must stay, with its rule.
func TestPage(t *testing.T) {
	const file = "../../docs/conformance.md"
	if *update {
		if err := os.WriteFile(file, conformance.Page(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(was) != string(conformance.Page()) {
		t.Errorf("%s is not what the code says: go test ./protocol/conformance -update", file)
	}
}

// Ids are a section and a number, each once; every row has a rule.
func TestIDs(t *testing.T) {
	form := regexp.MustCompile(`^[1-8]/[1-9][0-9]*$`)
	ids, rules := map[string]bool{}, map[string]bool{}
	for _, r := range conformance.Rows() {
		switch {
		case !form.MatchString(r.ID):
			t.Errorf("id %q", r.ID)
		case ids[r.ID]:
			t.Errorf("id %s is there twice", r.ID)
		case r.Rule == "" || rules[r.Rule] || strings.HasSuffix(r.Rule, "."):
			t.Errorf("%s: rule %q is empty, there twice, or ends with a full stop", r.ID, r.Rule)
		}
		ids[r.ID], rules[r.Rule] = true, true
	}
	const want = 241
	if len(ids) != want {
		t.Errorf("%d rows, want %d: no row goes away; a new one gets a new number", len(ids), want)
	}
}
