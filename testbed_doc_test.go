package emujail

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/testbed"
)

// wrong has a key that there isn't, in each kind of object of a testbed file.
var wrong = map[string]string{
	"a testbed":           `zz: 1`,
	"site":                `site: {zz: 1}`,
	"a site variable":     `sitevariables: {x: {zz: 1}}`,
	"a file":              `files: {x: {zz: 1}}`,
	"a project":           `projects: {x: {zz: 1}}`,
	"a group":             `groups: {x/y: {zz: 1}}`,
	"a user":              `users: {x: {zz: 1}}`,
	"an experiment":       `experiments: {x/y: {zz: 1}}`,
	"a LAN":               `experiments: {x/y: {lans: {z: {zz: 1}}}}`,
	"a program":           `experiments: {x/y: {programs: {z: {zz: 1}}}}`,
	"a traffic generator": `experiments: {x/y: {traffic: {z: {zz: 1}}}}`,
	"a route":             `experiments: {x/y: {routes: {z: [{zz: 1}]}}}`,
	"a blob":              `experiments: {x/y: {blobs: [{zz: 1}]}}`,
	"an event":            `experiments: {x/y: {schedule: [{zz: 1}]}}`,
	"a host":              `hosts: {x: {zz: 1}}`,
	"an interface":        `hosts: {x: {interfaces: {y: {zz: 1}}}}`,
	"a vnode":             `vnodes: {x: {zz: 1}}`,
	"jail":                `vnodes: {x: {jail: {zz: 1}}}`,
}

// TestTestbedKeys: docs/testbed.md has every key that the parser knows, and no
// other.
func TestTestbedKeys(t *testing.T) {
	text, err := os.ReadFile("docs/testbed.md")
	if err != nil {
		t.Fatal(err)
	}
	told := keysByKind(string(text))
	for kind, yaml := range wrong {
		_, err := testbed.Parse("x", []byte(yaml))
		m := regexp.MustCompile(`unknown key "zz": expected for [^:]*? one of ([a-z0-9_, ]+)`).FindStringSubmatch(errorText(err))
		if m == nil {
			t.Errorf("%s: the parser doesn't say which keys there are: %v", kind, err)
			continue
		}
		known := strings.Split(m[1], ", ")
		slices.Sort(known)
		slices.Sort(told[kind])
		if !slices.Equal(known, told[kind]) {
			t.Errorf("%s: the page has\n%q\nthe parser knows\n%q", kind, told[kind], known)
		}
		delete(told, kind)
	}
	if len(told) > 0 {
		t.Errorf("the page tells of what the parser doesn't know: %v", told)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// keysByKind reads the first columns of the tables that follow a comment with
// the kinds of object that have these keys.
func keysByKind(text string) map[string][]string {
	keys := map[string][]string{}
	var kinds []string
	for line := range strings.SplitSeq(text, "\n") {
		if m := regexp.MustCompile(`^<!-- keys: (.*) -->$`).FindStringSubmatch(line); m != nil {
			kinds = strings.Split(m[1], ", ")
			continue
		}
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") {
			if !strings.HasPrefix(line, "|") {
				kinds = nil
			}
			continue
		}
		for _, kind := range kinds {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[0], -1) {
				keys[kind] = append(keys[kind], m[1])
			}
		}
	}
	return keys
}

// TestTestbedExample: the page's faults and timeline are some, in its testbed.
func TestTestbedExample(t *testing.T) {
	text, err := os.ReadFile("docs/testbed.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/testbed.md has %d examples, want a testbed, and trouble in it", len(blocks))
	}
	m := blocks[1]
	if _, err := testbed.Parse("example", append(blocks[0][1], m[1]...)); err != nil {
		t.Error(err)
	}
	for _, section := range []struct {
		key   string
		parse func(text string) error
	}{
		{"faults", func(s string) error { _, err := fault.ParseFaults("example", 1, s); return err }},
		{"timeline", func(s string) error { _, err := fault.ParseTimeline("example", 1, s); return err }},
	} {
		part := regexp.MustCompile(`(?m)^` + section.key + `:\n(  .*\n)+`).FindString(string(m[1]))
		if part == "" {
			t.Errorf("the example has no %s", section.key)
		} else if err := section.parse(part); err != nil {
			t.Error(err)
		}
	}
}

// The page leads to every testbed that is ready to use, and the README to all of
// them.
func TestReadyTestbeds(t *testing.T) {
	ready, err := filepath.Glob("examples/*/testbed.yaml")
	if err != nil || len(ready) == 0 {
		t.Fatalf("no testbeds below examples: %v", err)
	}
	page, err := os.ReadFile("docs/testbed.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range ready {
		if !strings.Contains(string(page), "(../"+path+")") {
			t.Errorf("docs/testbed.md doesn't lead to %s", path)
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"(examples)", "KEEP=1", "YES=1", "make help"} {
		if !strings.Contains(string(readme), words) {
			t.Errorf("README.md doesn't say %q", words)
		}
	}
}
