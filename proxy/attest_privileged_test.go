//go:build linux && privileged

package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/proxy/control"
)

// unified is where the v2 hierarchy is mounted.
func unified(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Fatal("no cgroup v2 hierarchy is mounted")
	return ""
}

// A cgroup is one that the test made.
type cgroup struct {
	dir   string
	inode uint64
	path  string // as /proc/<pid>/cgroup shows it
}

func makeCgroup(t testing.TB, name string) cgroup {
	t.Helper()
	root := unified(t)
	c := cgroup{dir: filepath.Join(root, name), path: "/" + name}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.WriteFile(filepath.Join(c.dir, "cgroup.kill"), []byte("1"), 0)
		eventually(t, "cgroup "+name+" is empty and gone", func() bool {
			err := os.Remove(c.dir)
			return err == nil || os.IsNotExist(err)
		})
	})
	var st syscall.Stat_t
	if err := syscall.Stat(c.dir, &st); err != nil {
		t.Fatal(err)
	}
	c.inode = st.Ino
	return c
}

// command prepares this binary as another program in the cgroup.
func (c cgroup) command(t testing.TB, env ...string) *exec.Cmd {
	t.Helper()
	dir, err := os.Open(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	return cmd
}

// call asks from within the cgroup.
func (c cgroup) call(t testing.TB, path, request string) (string, error) {
	t.Helper()
	cmd := c.command(t, childMode+"=caller", "PROXY_TEST_PATH="+path, "PROXY_TEST_REQUEST="+request)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), err
}

// attested runs a confined proxy with the jail a in cgroup home.
func attested(t *testing.T, home control.VNode) (s *supervisor, path, audit string) {
	dir := t.TempDir()
	openWay(t, dir)
	s = supervise(t, "confined", nil)
	s.useTmcd(startTmcd(t, nil))
	audit = filepath.Join(dir, "audit")
	f, err := os.OpenFile(audit, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.order(control.Message{Op: control.OpAudit}, f)
	path, file := socket(t, dir, home.VNode)
	s.order(control.Message{Op: control.OpListen, VNodes: []control.VNode{home}}, file)
	return s, path, audit
}

// openWay lets other users reach a temporary directory.
func openWay(t testing.TB, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// T26 of docs/spec/peers.md: who is in the jail is served, who isn't is not.
func TestT26CallersAreHeldAgainstTheCgroup(t *testing.T) {
	a, b := makeCgroup(t, "proxytest-a"), makeCgroup(t, "proxytest-ab")
	below := makeCgroup(t, "proxytest-a/inner")
	_, path, audit := attested(t, control.VNode{VNode: "a", Cgroup: a.inode, Path: a.path})
	for _, row := range []struct {
		name   string
		caller cgroup
		served bool
	}{
		{"in the jail", a, true},
		{"in a cgroup below the jail's", below, true},
		{"in another jail whose name begins alike, through a leaked socket", b, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			reply, err := row.caller.call(t, path, "status ")
			if served := err == nil && strings.Contains(reply, "as=a "); served != row.served {
				t.Errorf("got %q, %v", reply, err)
			}
		})
	}
	t.Run("on the host", func(t *testing.T) {
		if reply, err := ask(t, path, "status "); !isReset(err) {
			t.Errorf("got %q, %v", reply, err)
		}
	})
	lines := readAudit(t, audit, 4)
	for i, want := range []string{"ok", "ok", "refused", "refused"} {
		l := lines[i]
		if l.Outcome != want || l.Peer.PID == 0 || !strings.HasPrefix(l.Peer.Comm, "proxy") {
			t.Errorf("audit line %d: %+v", i, l)
		}
		if want == "refused" && l.Why != errStranger.Error() {
			t.Errorf("audit line %d: why %q", i, l.Why)
		}
	}
}

func readAudit(t testing.TB, path string, n int) []Line {
	t.Helper()
	var log auditLog
	eventually(t, fmt.Sprintf("%d audit lines", n), func() bool {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		log = auditLog{}
		log.Write(text)
		return bytes.Count(text, []byte("\n")) >= n
	})
	return log.lines(t)
}

// In mode log strangers are served, and the audit log says so.
func TestStrangersAreServedInModeLog(t *testing.T) {
	a := makeCgroup(t, "proxytest-f")
	_, path, audit := attested(t, control.VNode{VNode: "a", Cgroup: a.inode, Attest: "log"})
	if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=a ") {
		t.Errorf("got %q, %v", reply, err)
	}
	if l := readAudit(t, audit, 1)[0]; l.Outcome != "ok" || l.Why != errStranger.Error() {
		t.Errorf("%+v", l)
	}
}

// T26: without the path only the cgroup's number counts; below it is outside.
func TestT26WithoutAPathOnlyTheCgroupItself(t *testing.T) {
	a, below := makeCgroup(t, "proxytest-c"), makeCgroup(t, "proxytest-c/inner")
	_, path, _ := attested(t, control.VNode{VNode: "a", Cgroup: a.inode})
	if reply, err := a.call(t, path, "status "); err != nil || !strings.Contains(reply, "as=a ") {
		t.Errorf("in the jail: %q, %v", reply, err)
	}
	if reply, err := below.call(t, path, "status "); err == nil {
		t.Errorf("below: %q", reply)
	}
}

// T24, T26: a cgroup of the same name made anew is another one: who connected
// before the jail was killed is nobody in the new one.
func TestT24ANewCgroupOfTheSameNameIsAnother(t *testing.T) {
	old := makeCgroup(t, "proxytest-d")
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	caller := old.command(t, childMode+"=caller", "PROXY_TEST_PATH="+path, "PROXY_TEST_REQUEST=status ")
	stdin, err := caller.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	at := &attestor{fallback: func(err error) { t.Errorf("degraded: %v", err) }}
	if at.proc, err = os.Open("/proc"); err != nil {
		t.Fatal(err)
	}
	defer at.proc.Close()
	oldHome := home{cgroup: old.inode, path: old.path}
	who, err := at.identify(conn, oldHome)
	if at.release(&who); err != nil || who.Comm == "" {
		t.Errorf("alive: %+v, %v", who, err)
	}
	if err := os.WriteFile(filepath.Join(old.dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	caller.Wait()
	stdin.Close()
	eventually(t, "the old cgroup is gone", func() bool { return os.Remove(old.dir) == nil })
	fresh := makeCgroup(t, "proxytest-d")
	who, err = at.identify(conn, home{cgroup: fresh.inode, path: fresh.path})
	if at.release(&who); err == nil || who.Comm != "" {
		t.Errorf("a dead caller of the old jail is taken for one of the new: %+v", who)
	}
}

// T26: the connection handed to another process keeps the identity of the one
// that connected; that is what the audit log names.
func TestT26AHandedOnConnectionIsItsMakers(t *testing.T) {
	a := makeCgroup(t, "proxytest-e")
	_, path, audit := attested(t, control.VNode{VNode: "a", Cgroup: a.inode})
	conn := connectFrom(t, a, path)
	defer conn.Close()
	conn.Write([]byte("status ")) // by the test, which is not in the jail
	reply, err := bufio.NewReader(conn).ReadString('"')
	if err != nil || !strings.Contains(reply, "as=a ") {
		t.Errorf("got %q, %v", reply, err)
	}
	if l := readAudit(t, audit, 1)[0]; l.Peer.PID == os.Getpid() {
		t.Errorf("attributed to the writer: %+v", l)
	}
}

// connectFrom has a thread enter the cgroup's process role: a child connects on
// a socket that it shares with the test, and ends.
func connectFrom(t *testing.T, c cgroup, path string) *net.UnixConn {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	shared := os.NewFile(uintptr(fd), "shared")
	defer shared.Close()
	cmd := c.command(t, childMode+"=connect", "PROXY_TEST_PATH="+path)
	cmd.ExtraFiles = []*os.File{shared}
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close(); cmd.Wait() })
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(shared)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn.(*net.UnixConn)
}

// ownCgroup is where the test itself runs.
func ownCgroup(t testing.TB) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			var st syscall.Stat_t
			if err := syscall.Stat(unified(t)+strings.TrimSpace(path), &st); err != nil {
				t.Fatal(err)
			}
			return st.Ino
		}
	}
	t.Fatal("no unified cgroup")
	return 0
}

// TestStrangerIsNoSupervisor: a proxy whose supervisor is gone takes the next one
// from root or its own user only, whatever the socket's modes are.
func TestStrangerIsNoSupervisor(t *testing.T) {
	s, dir := supervise(t, "free", nil), t.TempDir()
	openWay(t, dir)
	meeting := s.leave(dir)
	if err := os.Chmod(meeting, 0o666); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "knock")
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, row := range []struct {
		name string
		uid  uint32
		in   bool
	}{{"nobody", 65534, false}, {"root", 0, true}} {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), childMode+"=knock", "PROXY_TEST_PATH="+meeting)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: row.uid, Gid: row.uid}}
		if out, err := cmd.CombinedOutput(); (err == nil) != row.in || err != nil && !strings.Contains(string(out), "EOF") {
			t.Errorf("%s: %v, %s", row.name, err, out)
		}
	}
}
