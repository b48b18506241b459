//go:build linux && privileged

package e2e

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listenOn serves TCP at the host's control address until stop is called.
func (p *pair) listenOn(t *testing.T, ports ...string) (stop func()) {
	t.Helper()
	var all []net.Listener
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(p.host.String(), port))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return func() {
		for _, l := range all {
			l.Close()
		}
	}
}

// askRaw sends bytes to tmcd from inside, as they are.
func (p *pair) askRaw(vnode, request string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	cmd := p.command(ctx, "jailsetup", "--site", p.path("site.yaml"), "enter", "-T", vnode, p.inside, "ask")
	cmd.Stdin = strings.NewReader(request)
	out := p.finish(cmd)
	return out.stdout
}

// descriptors: the caller's don't get inside, neither the supervisor's nor
// enter's.
func (p *pair) descriptors(t *testing.T) {
	out := p.enter(p.a, "sh", "-c", "for f in /proc/1/fd/*; do readlink $f; done; true")
	for line := range strings.Lines(out) {
		to := strings.TrimSpace(line)
		ok := to == "/dev/null" || to == "/null" || to == "/var/log/console.log" || to == "/run/initctl" ||
			strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:") || strings.HasPrefix(to, "anon_inode:")
		if !ok {
			t.Errorf("PID 1 has %s", to)
		}
	}
	root, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	cmd := p.command(context.Background(), "jailsetup", "--site", p.path("site.yaml"), "enter", "-T", p.a, "sh", "-c", "ls -l /proc/$$/fd; exit 0")
	cmd.ExtraFiles = []*os.File{root}
	entered := p.finish(cmd)
	if n := strings.Count(entered.stdout, "->"); n != 3 || entered.code != 0 {
		t.Errorf("enter starts with:\n%s", entered.stdout)
	}
}

// environment: nothing of the supervisor's, and programs that load nothing.
func (p *pair) environment(t *testing.T) {
	got := strings.Split(strings.TrimRight(p.enter(p.a, "cat", "/proc/1/environ"), "\x00"), "\x00")
	for _, kv := range got {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.Contains([]string{"PATH", "TMCCVNODEID", "HOME", "TERM", "LANG", "GOMAXPROCS"}, name) {
			t.Errorf("PID 1 has %s in its environment", kv)
		}
	}
	for _, name := range []string{"injail", "injail-rc", "jailspawn", "tmcc", "jailsetup"} {
		f, err := elf.Open(program(name))
		if err != nil {
			t.Fatal(err)
		}
		if libs, _ := f.ImportedLibraries(); len(libs) > 0 || f.Section(".interp") != nil {
			t.Errorf("%s loads %v", name, libs)
		}
		f.Close()
	}
}

func (p *pair) capabilities(t *testing.T) {
	// A process may end between the shell's look and grep's.
	out := p.enter(p.a, "sh", "-c", "grep -H 'Cap[IA]\\|NoNewPrivs\\|Seccomp:' /proc/[0-9]*/status /proc/self/status 2>/dev/null; true")
	seen := 0
	for line := range strings.Lines(out) {
		_, rest, _ := strings.Cut(line, "status:")
		name, value, _ := strings.Cut(strings.TrimSpace(rest), ":")
		seen++
		want := map[string]string{"CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "0", "Seccomp": "2"}[name]
		if strings.TrimSpace(value) != want {
			t.Errorf("%s", strings.TrimSpace(line))
		}
	}
	if seen < 4*4 {
		t.Errorf("only %d lines seen", seen)
	}
}

// others: a user of the host's gets at nothing.
func (p *pair) others(t *testing.T) {
	j, _ := p.info(p.a)
	for _, path := range []string{
		p.state(), filepath.Join(p.state(), p.a), filepath.Join(p.state(), p.a, "root.img"), filepath.Join(p.path("run"), "jails"),
		filepath.Join(p.path("run"), "jails", p.a, "tmcc"), filepath.Join(p.path("run"), "serve.sock"), fmt.Sprintf("/proc/%d/root", j.PID),
		fmt.Sprintf("/proc/%d/cwd", j.PID),
	} {
		cmd := exec.Command("/bin/ls", path+"/")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ermission denied") {
			t.Errorf("ls %s as nobody: %s", path, out)
		}
	}
	for _, path := range []string{p.state(), filepath.Join(p.path("run"), "jails")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

func (p *pair) nesting(t *testing.T) {
	got := strings.Fields(p.enter(p.a, p.inside, "nest"))
	if len(got) != 2 || got[0] != "4" || got[1] != "ENOSPC" {
		t.Errorf("nested user namespaces: %v, want 4 of them, then ENOSPC", got)
	}
}

// hostSums are of what a jail could have written to on the host.
func (p *pair) hostSums() []string {
	p.t.Helper()
	var sums []string
	shown, _ := filepath.Glob(filepath.Join(p.state(), ".programs", "*", "*"))
	for _, path := range append(shown, program("injail"), program("jailspawn"), program("jailsetup"), "/usr/bin/true", "/bin/sh") {
		data, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		sums = append(sums, fmt.Sprintf("%s %x", path, sha256.Sum256(data)))
	}
	return sums
}

func (p *pair) programs(t *testing.T) {
	if now := p.hostSums(); !slices.Equal(now, p.sums) {
		t.Errorf("were %v, are %v", p.sums, now)
	}
}

// end: a fork bomb, processes that ignore signals, and stopped ones.
func (p *pair) end(t *testing.T) {
	p.enter(p.a, "sh", "-c", `
		cat >/root/bomb <<'X'
trap '' TERM HUP INT
while :; do sh /root/bomb & done
X
		setsid sh /root/bomb </dev/null >/dev/null 2>&1 &
		(kill -STOP $(sh -c 'echo $PPID'); sleep 1000) </dev/null >/dev/null 2>&1 &
		setsid sh -c 'trap "" TERM; while :; do sleep 1; done' </dev/null >/dev/null 2>&1 &`)
	p.await("the bomb to go off", func() error {
		data, err := os.ReadFile(filepath.Join(cgroupDir(p.a), "cgroup.procs"))
		if n := strings.Count(string(data), "\n"); n < 300 {
			return fmt.Errorf("%d processes (%v)", n, err)
		}
		return nil
	})
	out := p.jailsetup("halt", p.a)
	const grace, more = time.Second, 3 * time.Second
	if out.code != 0 || out.took > grace+more {
		t.Errorf("halt took %s: exit code %d: %s", out.took, out.code, out.stderr)
	}
	if _, there := p.info(p.b); !there {
		t.Error("the sibling is gone")
	}
	if got := p.enter(p.b, "tmcc", "status"); !strings.Contains(got, "node-b") {
		t.Errorf("the sibling's tmcc status says %q", got)
	}
}
