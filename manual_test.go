//go:build linux

package emujail

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"emujail/dist/manual"
)

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
		if word := m[1]; word != "logrotate" && word != "cat" && word != "is" {
			parts = append(parts, manual.Part{Title: "injail " + word, Usage: said("injail-rc", word, "-h")})
		}
	}
	if len(parts) < 4 {
		t.Errorf("found %d words in the usage of injail: that can't be all", len(parts)-1)
	}
	page := manual.Page("injail", "a jail's init, its configuration and its agents", parts)
	manual.Check(t, ".", "injail", map[string][]byte{"docs/man/injail.1": page}, *update)
}
