package jail_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"emujail/jailsetup/jail"
	"emujail/proxy"
)

// TestSiteKeys: docs/site.md has every key of the site file with its default,
// and no other.
func TestSiteKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/site.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (.*?) ?\\| ").FindAllStringSubmatch(string(text), -1) {
		told[m[1]] = m[2]
	}
	s, err := jail.LoadSite(siteFile(t, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	// Zero there is the proxy's default.
	s.Proxy.Limits = jail.ProxyLimits(proxy.DefaultLimits())
	s.Programs = "" // set to where this test's program lies
	for key, value := range leaves("", reflect.ValueOf(s)) {
		said, ok := told[key]
		if !ok {
			t.Errorf("the page doesn't have %s (default %q)", key, value)
		} else if said != value {
			t.Errorf("%s: the page's default is %q, the code's %q", key, said, value)
		}
		delete(told, key)
	}
	for key := range told {
		t.Errorf("the page has %s, the code doesn't", key)
	}
}

// TestSiteExample: the page's example is a site file.
func TestSiteExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/site.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("docs/site.md has no example")
	}
	if _, err := jail.LoadSite(siteFile(t, string(m[1]))); err != nil {
		t.Error(err)
	}
}

// TestSiteMistakes: file, line and what was expected.
func TestSiteMistakes(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"# a comment\nbos: x\n", `:2: unknown field "bos"`},
		{"boss: b\nlimits:\n  user_ns: 4\n  processes: -5\n", ":4: limits: processes: want 0 to 4194304, not -5"},
		{"limits: {memory_mib: lots}\n", `:1: want a number, not "lots"`},
		{"boss: b\ngrace: 2h\n", ":2: grace: want 0s to 1m"},
		{"boss: b\ngrace: soon\n", `:2: want a duration, such as 30s, not "soon"`},
		{"boss: b5\ngrace: 5x\n", `:2: want a duration, such as 30s, not "5x"`},
		{"boss: b\ncontrol:\n  number: 1\n  prefix: banana\n", ":4: control: prefix: want ADDRESS/BITS"},
		{"boss: b\nboots_at_once: -1\n", ":2: boots_at_once: want 0 to 1024, not -1"},
		{"boss: b\nlocal: here\n", `:2: local: want an absolute path or none, not "here"`},
		{"state: here\n", `:1: state: want an absolute path, not "here"`},
		{"boss: b\nhost_ports: [tcp/22, tcp/7777]\n", ":2: host_ports: port tcp/7777: it is tmcd's"},
		{"host_ports: 22\n", ":1: int was used where sequence is expected"},
	} {
		path := siteFile(t, row.text)
		_, err := jail.LoadSite(path)
		if err == nil || !strings.Contains(err.Error(), path+row.want) {
			t.Errorf("%q: %v, want %q", row.text, err, row.want)
		}
	}
}

func siteFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// leaves are the keys of a struct that isn't made of structs, dotted, with
// their values as text; empty for nothing.
func leaves(prefix string, v reflect.Value) map[string]string {
	all := map[string]string{}
	for i := range v.NumField() {
		name, opts, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if opts == "inline" {
			maps.Copy(all, leaves(prefix, v.Field(i)))
		}
		if name == "" || name == "-" {
			continue
		}
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			for k, text := range leaves(prefix+name+".", f) {
				all[k] = text
			}
		case f.IsZero() && f.Kind() != reflect.Bool && f.Kind() != reflect.Int:
			all[prefix+name] = ""
		case f.Kind() == reflect.Float64:
			all[prefix+name] = fmt.Sprintf("%.0f", f.Float())
		default:
			all[prefix+name] = fmt.Sprint(f.Interface())
		}
	}
	return all
}
