//go:build unix

package emujail

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stepTimeout bounds one command of the README.
const stepTimeout = 90 * time.Second

// shell is a bash that is given one command after the other, as a reader types
// them; what the commands print, also those in the background, comes here.
type shell struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser

	mu   sync.Mutex
	said bytes.Buffer
}

// Write takes what is printed.
func (s *shell) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

func (s *shell) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

func (s *shell) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said.Reset()
}

// newShell starts one in an empty folder with the programs in its PATH. It and
// all that it has started end with the test.
func newShell(t *testing.T, attr *syscall.SysProcAttr) *shell {
	t.Helper()
	bin := build(t, programs(t)...)
	// Short: unix sockets lie below it.
	dir, err := os.MkdirTemp("", "readme")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &shell{t: t, cmd: exec.Command("bash", "--norc", "--noprofile")}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "PATH="+bin+":/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR="+dir, "HOME="+dir, "LC_ALL=C.UTF-8")
	s.cmd.Stdout, s.cmd.Stderr = s, s
	attr.Setpgid = true
	s.cmd.SysProcAttr = attr
	s.cmd.WaitDelay = 5 * time.Second
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start bash (namespaces need root): %v", err)
	}
	t.Cleanup(func() {
		s.stdin.Close()
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
		_ = s.cmd.Wait() // it ended by our signal
	})
	return s
}

// run gives the shell a command and compares what it prints. The command must
// not read the shell's own input.
func (s *shell) run(st step) {
	s.t.Helper()
	const mark = "--- done "
	s.forget()
	if _, err := fmt.Fprintf(s.stdin, "{\n%s\n} </dev/null\necho '%s'$?\n", st.command, mark); err != nil {
		s.t.Fatalf("README.md:%d: the shell is gone: %v\n%s", st.line, err, s.output())
	}
	want := st.pattern()
	for end := time.Now().Add(stepTimeout); ; time.Sleep(10 * time.Millisecond) {
		out := s.output()
		printed, code, done := cutMark(out, mark)
		if done && code != "0" {
			s.t.Fatalf("README.md:%d: %s\nexit code %s:\n%s", st.line, st.command, code, printed)
		}
		if done && want.MatchString(printed) {
			return
		}
		if done && !st.background() || time.Now().After(end) {
			s.t.Fatalf("README.md:%d: %s\nprints\n%s\nand not, as the README says,\n%s", st.line, st.command, out, st.output)
		}
	}
}

// cutMark takes the line of the mark out of what was printed.
func cutMark(out, mark string) (printed, code string, done bool) {
	before, after, found := strings.Cut(out, mark)
	code, after, ended := strings.Cut(after, "\n")
	return before + after, code, found && ended
}

// runReadme types the blocks that are tested in one of these ways.
func runReadme(t *testing.T, attr *syscall.SysProcAttr, prepare string, hows ...string) {
	s := newShell(t, attr)
	s.run(step{command: prepare + ":"})
	steps := 0
	for _, b := range readmeBlocks(t) {
		for _, how := range hows {
			if b.how != how {
				continue
			}
			for _, st := range b.steps {
				s.run(st)
				steps++
			}
		}
	}
	if steps < 10 {
		t.Errorf("ran %d commands of the README: that can't be all", steps)
	}
}

// TestCutMark: a program in the background may print before and after it.
func TestCutMark(t *testing.T) {
	for name, row := range map[string]struct {
		out, printed, code string
		done               bool
	}{
		"nothing yet":   {"a\n", "a\n", "", false},
		"half a mark":   {"a\n--- done 0", "a\n", "0", false},
		"done":          {"a\n--- done 0\n", "a\n", "0", true},
		"failed":        {"--- done 17\n", "", "17", true},
		"printed later": {"a\n--- done 0\nb\n", "a\nb\n", "0", true},
	} {
		printed, code, done := cutMark(row.out, "--- done ")
		if printed != row.printed || done != row.done || done && code != row.code {
			t.Errorf("%s: got %q, %q, %v", name, printed, code, done)
		}
	}
}

// programs are the folders of the programs that `make build` builds.
func programs(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, m := range regexp.MustCompile(`(?m)^SRC_(\S+) +:= \./(\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if filepath.Base(m[2]) != strings.TrimSuffix(m[1], "-full") {
			t.Errorf("Makefile: program %s lies in %s", m[1], m[2])
		}
		folders = append(folders, m[2])
	}
	folders = slices.Compact(folders) // tmcc-full is the whole of tmcc
	if len(folders) < 7 {
		t.Fatalf("Makefile: found the programs %q: that can't be all", folders)
	}
	return folders
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
