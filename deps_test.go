// Package emujail holds the rules of the house that no compiler keeps: who may
// import whom (docs/design.md §2).
package emujail

import (
	"bytes"
	"encoding/json"
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

// TestSmallPrograms: what runs in a jail, or in front of one, or is cloned for
// each, links little.
func TestSmallPrograms(t *testing.T) {
	for _, program := range []string{"tmcc", "jailsetup/injail", "jailsetup/injail/injail-rc", "jailsetup/spawn/jailspawn", "jailsetup/shape/delaynode"} {
		p := list(t, module+program)[0]
		for what, prefix := range heavy {
			if deps(p, prefix) {
				t.Errorf("%s links %s (%s)", program, what, prefix)
			}
		}
	}
	for program, why := range map[string]string{
		"tmcc":                      "the proxy's process speaks no HTTP",
		"jailsetup/injail":          "PID 1 of every jail stays small",
		"jailsetup/spawn/jailspawn": "its page tables are copied for every jail",
		"jailsetup/shape/delaynode": "it only carries frames",
	} {
		if deps(list(t, module+program)[0], "net/http") {
			t.Errorf("%s links net/http: %s", program, why)
		}
	}
	if deps(list(t, module+"jailsetup/injail")[0], "crypto/tls") {
		t.Error("injail links crypto/tls: no jail speaks to tmcd")
	}
}

// TestArrows: imports point down only.
func TestArrows(t *testing.T) {
	all := list(t, "./...")
	rules := []struct {
		name string
		bad  func(from, to string) bool
	}{
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
	seen := 0
	for _, p := range all {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, to := range p.Imports {
			seen++
			for _, r := range rules {
				if r.bad(from, to) {
					t.Errorf("%s imports %s: %s", from, to, r.name)
				}
			}
		}
	}
	if len(all) < 20 || seen < 100 {
		t.Errorf("looked at %d packages with %d imports: that can't be all", len(all), seen)
	}
}

// TestRulesBite: each rule would see what it forbids.
func TestRulesBite(t *testing.T) {
	if !under("emujail/tmcd-mock/pki", "emujail/tmcd-mock") || under("emujail/tmcd-mockery", "emujail/tmcd-mock") {
		t.Error("under takes a prefix for a folder")
	}
	if top("jailsetup/injail/steps") != "jailsetup" || second("jailsetup/injail/steps") != "injail" || second("tmcc") != "" {
		t.Error("top and second don't split paths")
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
