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
