package main

import (
	"fmt"
	"strings"
	"testing"

	"emujail/dist/gotest"
)

func TestVerdict(t *testing.T) {
	p := group{pkg: "p"}
	attack, other, proof := test{p, "TestA/one"}, test{p, "TestB"}, test{p, "TestC"}
	both := row{id: "S5", title: "name", attacks: []test{attack, other}, proofs: []test{proof}}
	said := func(outcomes ...string) results {
		seen := results{}
		for i, t := range []test{attack, other, proof} {
			if outcomes[i] != "" {
				seen[t] = outcomes[i]
			}
		}
		return seen
	}
	for name, c := range map[string]struct {
		row  row
		seen results
		want string
	}{
		"all passed":             {both, said("pass", "pass", "pass"), "S5 ok name"},
		"an attack failed":       {both, said("pass", "fail", "pass"), "S5 FAILED (TestB)"},
		"one didn't run":         {both, said("pass", "", "pass"), "S5 MISSING (TestB didn't run)"},
		"one was skipped":        {both, said("skip", "pass", "pass"), "S5 MISSING (TestA/one didn't run)"},
		"failure before absence": {both, said("", "fail", "pass"), "S5 FAILED (TestB)"},
		"the proof failed":       {both, said("pass", "pass", "fail"), "S5 FAILED (counter-proof TestC)"},
		"the proof didn't run":   {both, said("pass", "pass", ""), "S5 UNPROVEN (TestC didn't run)"},
		"no proof, no reason":    {row{id: "S5", attacks: []test{other}}, said("", "pass", ""), "S5 UNPROVEN (no test takes the wall away)"},
		"no proof, a reason": {row{id: "S17", title: "memory", attacks: []test{other}, noProof: "no /dev/mem"}, said("", "pass", ""),
			"S17 ok memory (no counter-proof: no /dev/mem)"},
		"a reason is no attack": {row{id: "S17", noProof: "no /dev/mem"}, said("", "", ""), "S17 MISSING (no test attacks it)"},
		"a part is said": {row{id: "T22", title: "again", part: "10 of 100 times", attacks: []test{other}, proofs: []test{proof}}, said("", "pass", "pass"),
			"T22 ok again, 10 of 100 times"},
		"a part can't be proven": {row{id: "S26", title: "clock", attacks: []test{other}, proofs: []test{proof}, unproven: func() []string { return []string{"no modules", "no kexec"} }},
			said("", "pass", "pass"), "S26 ok clock (no counter-proof of a part: no modules, no kexec)"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.row.verdict(c.seen)
			if got != c.want || ok != strings.Contains(c.want, " ok ") {
				t.Errorf("%q, %v; want %q", got, ok, c.want)
			}
		})
	}
}

// TestRows: the rows are those that are promised, sorted, and no test's name is
// empty.
func TestRows(t *testing.T) {
	var want []string
	for n := 1; n <= 31; n++ {
		want = append(want, fmt.Sprintf("S%d", n))
	}
	for n := 1; n <= 50; n++ {
		if n <= 22 || n >= 33 && n <= 37 || n == 45 || n >= 49 {
			want = append(want, fmt.Sprintf("T%d", n))
		}
	}
	var got []string
	for _, r := range rows() {
		got = append(got, r.id)
		if r.title == "" {
			t.Errorf("%s has no title", r.id)
		}
		for _, test := range r.tests() {
			if test.pkg == "" || !strings.HasPrefix(test.name, "Test") || strings.Contains(test.name, " ") {
				t.Errorf("%s: no test is called %v", r.id, test)
			}
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("rows %v, want %v", got, want)
	}
}

func TestTake(t *testing.T) {
	const p = `"Package":"emujail/p"`
	lines := []string{
		`{"Action":"output",` + p + `,"Test":"TestA/one","Output":"noise\n"}`, `{"Action":"pass",` + p + `,"Test":"TestA/one"}`,
		`{"Action":"output",` + p + `,"Test":"TestB","Output":"b_test.go:1: wrong\n"}`, `{"Action":"fail",` + p + `,"Test":"TestB"}`,
		`{"Action":"fail",` + p + `}`, `go: a word`,
	}
	seen, shown := results{}, &strings.Builder{}
	words := gotest.Words{}
	err := gotest.Read(strings.NewReader(strings.Join(lines, "\n")), shown, func(e gotest.Event) { seen.take(e, group{pkg: "p"}, words, shown) })
	if err != nil {
		t.Fatal(err)
	}
	if seen[test{group{pkg: "p"}, "TestA/one"}] != "pass" || seen[test{group{pkg: "p"}, "TestB"}] != "fail" || len(seen) != 2 {
		t.Errorf("outcomes %v", seen)
	}
	if got, want := shown.String(), "fail emujail/p TestB\nb_test.go:1: wrong\ngo: a word\n"; got != want {
		t.Errorf("shown %q, want %q", got, want)
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose(rows(), []string{"T50", "S1"}); err != nil || len(got) != 2 || got[0].id != "T50" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(rows(), []string{"S99"}); err == nil {
		t.Error("S99 is a row")
	}
	chosen, _ := choose(rows(), []string{"S10"})
	if got := namesIn(chosen, group{pkg: e2e}); len(got) != 1 || got[0] != "TestPermissionBits" {
		t.Errorf("names %v", got)
	}
}
