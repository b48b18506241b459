package main

import (
	"strings"
	"testing"
)

// Each row is what `go test -json` says and what is made of it.
func TestCounter(t *testing.T) {
	for name, row := range map[string]struct {
		events                  []string
		passed, failed, skipped int
		prints, doesnt          string
	}{
		"a package that passes": {
			events: []string{
				`{"Action":"start","Package":"p"}`, `{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p","Elapsed":1.25}`,
			},
			passed: 1, prints: "ok    p", doesnt: "noise",
		},
		"subtests count": {
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/one"}`, `{"Action":"pass","Package":"p","Test":"TestA/two"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`,
			},
			passed: 3,
		},
		"a failure is shown, and counted once": {
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:1: wrong\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`,
			},
			failed: 1, prints: "FAIL  p TestA\na_test.go:1: wrong\n",
		},
		"a package that dies without a test": {
			events: []string{
				`{"Action":"output","Package":"p","Output":"panic: no\n"}`, `{"Action":"fail","Package":"p"}`,
			},
			failed: 1, prints: "panic: no",
		},
		"one that doesn't build": {
			events: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`, `{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			failed: 1, prints: "undefined: x",
		},
		"a skip is shown": {
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"no root\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`, `{"Action":"skip","Package":"q"}`,
			},
			skipped: 1, prints: "skip  p TestA\nno root\n",
		},
		"words that are no JSON": {events: []string{"go: downloading x"}, prints: "go: downloading x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter()
			var out strings.Builder
			if err := c.read(strings.NewReader(strings.Join(row.events, "\n")+"\n"), &out); err != nil {
				t.Fatal(err)
			}
			if c.passed != row.passed || c.failed != row.failed || c.skipped != row.skipped {
				t.Errorf("passed, failed, skipped: %d, %d, %d, want %d, %d, %d",
					c.passed, c.failed, c.skipped, row.passed, row.failed, row.skipped)
			}
			if !strings.Contains(out.String(), row.prints) || row.doesnt != "" && strings.Contains(out.String(), row.doesnt) {
				t.Errorf("prints\n%s\nwant %q, not %q", out.String(), row.prints, row.doesnt)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for name, row := range map[string]struct {
		c    counter
		ci   bool
		want bool
	}{
		"all passed":          {counter{passed: 3}, true, true},
		"one failed":          {counter{passed: 3, failed: 1}, false, false},
		"none ran":            {counter{}, false, false},
		"a skip at home":      {counter{passed: 3, skipped: 1}, false, true},
		"a skip in the gate":  {counter{passed: 3, skipped: 1}, true, false},
		"failed, and skipped": {counter{passed: 3, failed: 1, skipped: 1}, true, false},
	} {
		if got := row.c.good(row.ci); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
