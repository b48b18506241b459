// Package emujail holds the rules of the house that no compiler keeps: who may
// import whom (docs/design.md §2).
package emujail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Name       string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Imports,Deps"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

const module = "emujail/"

// heavy are modules that small programs must not link.
var heavy = map[string]string{
	"YAML":        "github.com/goccy/go-yaml",
	"the CA":      "github.com/cloudflare/cfssl",
	"netlink":     "github.com/vishvananda/netlink",
	"nftables":    "github.com/google/nftables",
	"eBPF":        "github.com/cilium/ebpf",
	"metrics":     "github.com/prometheus/client_golang",
	"subcommands": "github.com/spf13/cobra",
}

func deps(p pkg, prefix string) bool {
	return slices.ContainsFunc(p.Deps, func(d string) bool { return d == prefix || strings.HasPrefix(d, prefix+"/") })
}

// links is a rule of what a program may link.
type links struct {
	program string
	refused string // import path, with all below it
	why     string
}

// linkRules: what runs in a jail, or in front of one, or is cloned for each,
// links little.
func linkRules() []links {
	rules := []links{
		{"tmcc", "net/http", "the proxy's process speaks no HTTP"},
		{"jailsetup/injail", "net/http", "PID 1 of every jail stays small"},
		{"jailsetup/spawn/jailspawn", "net/http", "its page tables are copied for every jail"},
		{"jailsetup/shape/delaynode", "net/http", "it only carries frames"},
		{"jailsetup/injail", "crypto/tls", "no jail speaks to tmcd"},
	}
	for _, program := range []string{"tmcc", "jailsetup/injail", "jailsetup/injail/injail-rc", "jailsetup/spawn/jailspawn", "jailsetup/shape/delaynode"} {
		for what, prefix := range heavy {
			rules = append(rules, links{program, prefix, "it does without " + what})
		}
	}
	return rules
}

// broken says what of the graph breaks the rule.
func (r links) broken(all []pkg) []string {
	i := slices.IndexFunc(all, func(p pkg) bool { return p.ImportPath == module+r.program })
	if i < 0 {
		return []string{"there is no program " + r.program}
	}
	if deps(all[i], r.refused) {
		return []string{fmt.Sprintf("%s links %s: %s", r.program, r.refused, r.why)}
	}
	return nil
}

// arrow is a rule of who may import whom.
type arrow struct {
	name string
	bad  func(from, to string) bool // folder, import path
}

func arrows(all []pkg) []arrow {
	return []arrow{
		{"protocol imports the standard library only", func(from, to string) bool {
			return from == "protocol" && strings.Contains(to, ".") || from == "protocol" && strings.HasPrefix(to, module)
		}},
		{"the conformance suite imports protocol alone of ours", func(from, to string) bool {
			return from == "protocol/conformance" && strings.HasPrefix(to, module) && to != module+"protocol"
		}},
		{"pki alone imports the CA", func(from, to string) bool {
			return under(to, heavy["the CA"]) && from != "tmcd-mock/pki"
		}},
		{"jailpicture alone links Graphviz, which costs 0.1 s at each start", func(from, to string) bool {
			return under(to, "github.com/goccy/go-graphviz") && from != "jailsetup/picture/jailpicture"
		}},
		{"jailsetup and tmcd-mock meet only as processes", func(from, to string) bool {
			return top(from) == "jailsetup" && under(to, module+"tmcd-mock") || top(from) == "tmcd-mock" && under(to, module+"jailsetup")
		}},
		{"plan imports none of what builds on it", func(from, to string) bool {
			return from == "jailsetup/plan" && strings.HasPrefix(to, module)
		}},
		{"the client and the proxy know nothing of jails", func(from, to string) bool {
			return (top(from) == "tmcc" || top(from) == "proxy" || top(from) == "protocol") && under(to, module+"jailsetup")
		}},
		{"steps don't import what composes them", func(from, to string) bool {
			step := slices.Contains([]string{"rootfs", "network", "shape", "limit", "permit", "spawn", "injail"}, second(from))
			return step && (to == module+"jailsetup/jail" || to == module+"jailsetup/supervise")
		}},
		{"jail doesn't import its supervisor", func(from, to string) bool {
			return from == "jailsetup/jail" && to == module+"jailsetup/supervise"
		}},
		{"a command is imported by nobody", func(_, to string) bool {
			return slices.ContainsFunc(all, func(p pkg) bool { return p.ImportPath == to && p.Name == "main" })
		}},
	}
}

// broken says which imports of the graph break the rule.
func (r arrow) broken(all []pkg) (found []string) {
	for _, p := range all {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, to := range p.Imports {
			if r.bad(from, to) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", from, to, r.name))
			}
		}
	}
	return found
}

// TestSmallPrograms: no program links what its rules refuse.
func TestSmallPrograms(t *testing.T) {
	all := list(t, "./...")
	for _, r := range linkRules() {
		for _, what := range r.broken(all) {
			t.Error(what)
		}
	}
}

// TestArrows: imports point down only.
func TestArrows(t *testing.T) {
	all := list(t, "./...")
	for _, r := range arrows(all) {
		for _, what := range r.broken(all) {
			t.Error(what)
		}
	}
	seen := 0
	for _, p := range all {
		seen += len(p.Imports)
	}
	if len(all) < 20 || seen < 100 {
		t.Errorf("looked at %d packages with %d imports: that can't be all", len(all), seen)
	}
}

// TestLinksBite: each rule of what may be linked finds a program that links it,
// itself or from far below, and finds one that is gone.
func TestLinksBite(t *testing.T) {
	for _, r := range linkRules() {
		for _, dep := range []string{r.refused, r.refused + "/below"} {
			bad := []pkg{{ImportPath: module + r.program, Deps: []string{"fmt", dep}}}
			if got := r.broken(bad); len(got) != 1 || !strings.Contains(got[0], r.why) {
				t.Errorf("%s links %s, and is told %q", r.program, dep, got)
			}
		}
		good := []pkg{{ImportPath: module + r.program, Deps: []string{"fmt", r.refused + "er"}}, {ImportPath: module + "other", Deps: []string{r.refused}}}
		if got := r.broken(good); got != nil {
			t.Errorf("%s links nothing, and is told %q", r.program, got)
		}
		if got := r.broken(good[1:]); got == nil {
			t.Errorf("nobody sees that %s is gone", r.program)
		}
	}
}

// TestRulesBite: each rule finds the import that breaks it in a graph that is
// made up, and not the one that doesn't.
func TestRulesBite(t *testing.T) {
	const jail, supervise = module + "jailsetup/jail", module + "jailsetup/supervise"
	rows := []struct {
		rule            string // the beginning of its name
		from, bad, good string
	}{
		{"protocol imports", "protocol", "golang.org/x/sys/unix", "net/netip"},
		{"protocol imports", "protocol", module + "tmcc/client", "fmt"},
		{"the conformance", "protocol/conformance", module + "tmcc/client", module + "protocol"},
		{"pki alone", "tmcd-mock/server", "github.com/cloudflare/cfssl/signer", module + "tmcd-mock/pki"},
		{"jailpicture alone", "jailsetup/picture", "github.com/goccy/go-graphviz", "github.com/goccy/go-yaml"},
		{"jailsetup and tmcd-mock", "jailsetup/lab", module + "tmcd-mock/manage", module + "tmcd-mockery"},
		{"jailsetup and tmcd-mock", "tmcd-mock/server", module + "jailsetup/event", module + "protocol"},
		{"plan imports", "jailsetup/plan", module + "jailsetup/limit", "context"},
		{"the client and the proxy", "tmcc/client", module + "jailsetup/jail", module + "protocol"},
		{"the client and the proxy", "proxy/control", module + "jailsetup/plan", module + "tmcc/client"},
		{"the client and the proxy", "protocol", module + "jailsetup/plan", "errors"},
		{"jail doesn't", "jailsetup/jail", supervise, module + "jailsetup/plan"},
		{"a command", "jailsetup/lab", module + "tmcc", module + "tmcc/client"},
	}
	for _, step := range []string{"rootfs", "network", "shape", "limit", "permit", "spawn", "injail", "injail/steps"} {
		for _, to := range []string{jail, supervise} {
			rows = append(rows, struct{ rule, from, bad, good string }{"steps don't", "jailsetup/" + step, to, module + "jailsetup/plan"})
		}
	}
	bitten := map[string]bool{}
	for _, row := range rows {
		graph := []pkg{{ImportPath: module + row.from, Imports: []string{row.good, row.bad}}, {ImportPath: module + "tmcc", Name: "main"}}
		rules := arrows(graph)
		i := slices.IndexFunc(rules, func(r arrow) bool { return strings.HasPrefix(r.name, row.rule) })
		if i < 0 {
			t.Errorf("there is no rule %q…", row.rule)
			continue
		}
		bitten[rules[i].name] = true
		if got := rules[i].broken(graph); len(got) != 1 || !strings.Contains(got[0], row.bad+":") {
			t.Errorf("%s imports %s and %s, which is told %q", row.from, row.good, row.bad, got)
		}
	}
	for _, r := range arrows(nil) {
		if !bitten[r.name] {
			t.Errorf("nothing made up breaks %q", r.name)
		}
	}
}

func under(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func top(p string) string {
	first, _, _ := strings.Cut(p, "/")
	return first
}

func second(p string) string {
	parts := strings.Split(path.Clean(p), "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}
