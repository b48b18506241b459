//go:build linux

package emujail

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"emujail/dist/manual"
)

var update = flag.Bool("update", false, "write manual pages and pictures anew")

// TestInjailManual: the page of injail is what injail and injail-rc say with -h.
func TestInjailManual(t *testing.T) {
	bin := build(t, "jailsetup/injail", "jailsetup/injail/injail-rc")
	said := func(program string, args ...string) string {
		out, err := exec.Command(filepath.Join(bin, program), args...).Output()
		if err != nil {
			t.Fatalf("%s %q: %v", program, args, err)
		}
		return string(out)
	}
	usage := said("injail", "-h")
	parts := []manual.Part{{Usage: usage}}
	// A word that injail-rc answers has a usage of its own.
	for _, m := range regexp.MustCompile(`(?m)injail ([a-z]+) `).FindAllStringSubmatch(usage, -1) {
		if word := m[1]; word != "logrotate" && word != "is" {
			parts = append(parts, manual.Part{Title: "injail " + word, Usage: said("injail-rc", word, "-h")})
		}
	}
	if len(parts) < 4 {
		t.Errorf("found %d words in the usage of injail: that can't be all", len(parts)-1)
	}
	page := manual.Page("injail", "a jail's init, its configuration and its agents", parts)
	manual.Check(t, ".", "injail", map[string][]byte{"docs/man/injail.1": page}, *update)
}

// build compiles main packages into a folder of the test's.
func build(t testing.TB, folders ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, f := range folders {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, filepath.Base(f)), "./"+f)
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", f, err, out)
		}
	}
	return bin
}
