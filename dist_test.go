package emujail

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnits: each unit of dist/systemd is well formed and says where it is
// documented, and a service starts a program, with a verb, that there is.
func TestUnits(t *testing.T) {
	units, err := filepath.Glob("dist/systemd/*.[st]*")
	if err != nil || len(units) == 0 {
		t.Fatalf("no units: %v", err)
	}
	for _, path := range units {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		unit := parseUnit(t, path, string(text))
		if unit["Unit.Description"] == "" {
			t.Errorf("%s: no Description", path)
		}
		if filepath.Ext(path) != ".service" {
			continue
		}
		page := strings.TrimSuffix(strings.TrimPrefix(unit["Unit.Documentation"], "man:"), "(1)")
		if _, err := os.Stat("docs/man/" + page + ".1"); err != nil {
			t.Errorf("%s: Documentation=%s: %v", path, unit["Unit.Documentation"], err)
		}
		words := strings.Fields(unit["Service.ExecStart"])
		if len(words) < 2 || page != filepath.Base(words[0]) && page != filepath.Base(words[0])+"-"+words[1] {
			t.Errorf("%s: ExecStart is %q, its page %s", path, words, page)
		}
	}
	verifyUnits(t, units)
}

// parseUnit reads SECTION.KEY=value.
func parseUnit(t *testing.T, path, text string) map[string]string {
	t.Helper()
	unit := map[string]string{}
	section := ""
	for n, line := range strings.Split(text, "\n") {
		if m := regexp.MustCompile(`^\[([A-Z][a-z]+)\]$`).FindStringSubmatch(line); m != nil {
			section = m[1]
		} else if m := regexp.MustCompile(`^([A-Z][A-Za-z]+)=(.*)$`).FindStringSubmatch(line); m != nil && section != "" {
			unit[section+"."+m[1]] = m[2]
		} else if line != "" && !strings.HasPrefix(line, "#") {
			t.Errorf("%s:%d: what is this: %s", path, n+1, line)
		}
	}
	return unit
}

// verifyUnits asks systemd, where there is one, with a program in the place of
// those that aren't installed here.
func verifyUnits(t *testing.T, units []string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		return // the units have been read by ourselves
	}
	dir := t.TempDir()
	var here []string
	for _, path := range units {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		there := regexp.MustCompile(`/usr/local/s?bin/\S+`).ReplaceAllString(string(text), "/bin/true")
		here = append(here, filepath.Join(dir, filepath.Base(path)))
		if err := os.WriteFile(here[len(here)-1], []byte(there), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, here...)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestOldNames: a build makes the links by which jailsetup has its old names.
func TestOldNames(t *testing.T) {
	out, err := exec.Command("make", "-n", "build").CombinedOutput()
	if err != nil {
		t.Fatalf("make -n build: %v\n%s", err, out)
	}
	for _, name := range []string{"vnodesetup", "bootvnodes"} {
		if !strings.Contains(string(out), "ln -sfn jailsetup bin/"+name) {
			t.Errorf("make build makes no link %s", name)
		}
	}
}

// TestShellSyntax: the scripts parse.
func TestShellSyntax(t *testing.T) {
	for _, script := range []string{".ci/run", "dist/test-packages", "dist/completion/jailsetup.bash", "dist/completion/tmcd-mock.bash", "dist/completion/tmcc.bash"} {
		if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
