package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"emujail/dist/gotest"
)

// TestListener: figures, passes and the tests' words are told apart.
func TestListener(t *testing.T) {
	const events = `{"Action":"output","Test":"TestA","Output":"    a_test.go:1: soak: 100 of 100 ISUP\n"}
{"Action":"output","Test":"TestA","Output":"    a_test.go:2: nothing\n"}
not JSON
{"Action":"pass","Test":"TestA"}
{"Action":"pass"}
`
	var l listener
	if err := gotest.Read(strings.NewReader(events), &l, l.take); err != nil {
		t.Fatal(err)
	}
	if len(l.figures) != 1 || l.figures[0] != "100 of 100 ISUP" || l.passed != 1 || !strings.Contains(l.said, "nothing\n") || !strings.Contains(l.said, "not JSON") {
		t.Errorf("%+v", l)
	}
}

// TestMerge: rows of stages that weren't run stay, others are replaced, all in
// the order of the stages.
func TestMerge(t *testing.T) {
	one := merge("", "2 cores", []row{
		{Stage: "boots", What: "w", Result: "ok", Took: 61 * time.Second, Figures: []string{"a|b", "c"}, Commit: "abc", Date: "2026-01-01"},
		{Stage: "mock", What: "w", Result: "FAILED"},
	})
	if !strings.Contains(one, "| boots | w | ok | 61 s | a/b; c | abc | 2026-01-01 |\n") || strings.Index(one, "| mock |") > strings.Index(one, "| boots |") {
		t.Errorf("first:\n%s", one)
	}
	two := merge(one, "4 cores", []row{{Stage: "mock", What: "w", Result: "ok"}})
	if strings.Contains(two, "FAILED") || !strings.Contains(two, "| boots | w | ok | 61 s |") || !strings.Contains(two, "on 4 cores.") || strings.Count(two, "| stage |") != 1 {
		t.Errorf("second:\n%s", two)
	}
}

// TestChoose: a name that isn't there is told.
func TestChoose(t *testing.T) {
	if got, err := choose(stages(), []string{"boots", "mock"}); err != nil || len(got) != 2 || got[0].name != "boots" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(stages(), []string{"naps"}); err == nil || !strings.Contains(err.Error(), `"naps"`) {
		t.Errorf("%v", err)
	}
}

// TestStagesExist: each stage's packages are folders with a test of each name.
func TestStagesExist(t *testing.T) {
	for _, s := range stages() {
		for _, p := range s.packages {
			entries, err := os.ReadDir("../../" + p)
			if err != nil {
				t.Fatal(err)
			}
			for name := range strings.SplitSeq(s.tests, "|") {
				found := false
				for _, e := range entries {
					text, err := os.ReadFile("../../" + p + "/" + e.Name())
					found = found || err == nil && strings.HasSuffix(e.Name(), "_test.go") &&
						(strings.Contains(string(text), "func "+name+"(") || strings.Contains(string(text), "func Test"+name))
				}
				if !found {
					t.Errorf("stage %s: no test %s in %s", s.name, name, p)
				}
			}
		}
	}
}

// TestSizes: a million to the mock is 64 times a hundred thousand through the proxy.
func TestSizes(t *testing.T) {
	if got := strings.Join(runner{requests: 1_000_000}.sizes(), " "); got != "MOCK_SOAK=1000000 PROXY_SOAK=6400000" {
		t.Error(got)
	}
}
