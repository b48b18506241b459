package steps

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"emujail/jailsetup/injail/agents"
	"emujail/protocol"
)

// TestMain lets the test binary be injail: steps start it as an agent.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "agents":
			os.Exit(agents.Main(os.Args[2:]))
		case "update":
			os.Exit(UpdateMain(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// fakeTMCD is the proxy's socket with a tmcd behind it that answers from a map
// and notes what it is asked.
type fakeTMCD struct {
	mu      sync.Mutex
	replies map[string]string
	broken  map[string]int // command: how many times to hang up before answering
	asked   []string       // command and arguments
}

func (f *fakeTMCD) set(command, reply string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replies[command] = reply
}

// count returns how often a request that begins with prefix has come.
func (f *fakeTMCD) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// boot returns the questions but those of the watchdog.
func (f *fakeTMCD) boot() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.asked), func(s string) bool { return s == "isalive" })
}

func (f *fakeTMCD) answer(text []byte) (reply string, hangUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The proxy takes this word out; tmcd never sees it.
	req, err := protocol.ParseRequest(bytes.Replace(text, []byte("USEUDP=1 "), nil, 1))
	if err != nil {
		return "", true
	}
	f.asked = append(f.asked, strings.TrimSpace(req.Command+" "+string(req.Args)))
	if f.broken[req.Command] != 0 {
		f.broken[req.Command]--
		return "", true
	}
	if req.Command == "fullconfig" {
		return f.fullConfig(), false
	}
	return f.replies[req.Command], false
}

// fullConfig puts a block around each reply that belongs into one.
func (f *fakeTMCD) fullConfig() string {
	if strings.HasPrefix(f.replies["status"], "FREE") {
		return ""
	}
	var blocks []protocol.Block
	for _, name := range slices.Sorted(maps.Keys(f.replies)) {
		if c, ok := protocol.Lookup(name); ok && c.Scope != protocol.ScopeNone {
			blocks = append(blocks, protocol.Block{Command: name, Body: []byte(f.replies[name])})
		}
	}
	return string(protocol.AppendFullConfig(nil, blocks))
}

func (f *fakeTMCD) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			reply, hangUp := f.answer(peek(c.(*net.UnixConn)))
			if hangUp { // with the request unread: the client's connection is reset, as by the proxy
				return
			}
			io.Copy(io.Discard, c)
			io.WriteString(c, reply)
		}()
	}
}

// peek returns what a client has sent, in its one write, and leaves it there.
func peek(c *net.UnixConn) []byte {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	buf := make([]byte, protocol.MaxRequest)
	n := 0
	_ = raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	})
	return buf[:max(n, 0)]
}

// jail is a directory that stands for a jail's root, with a tmcd.
type jail struct {
	*Node
	tmcd *fakeTMCD
	out  *syncBuffer
	tb   testing.TB
}

func newJail(tb testing.TB) *jail {
	tb.Helper()
	root := tb.TempDir()
	for path, text := range map[string]string{
		"/etc/passwd":  "root:x:0:0:root:/root:/bin/bash\nmallory:x:1000:1000::/home/mallory:/bin/sh\n",
		"/etc/shadow":  "root:*:19000:0:99999:7:::\nmallory:!:19000:0:99999:7:::\n",
		"/etc/group":   "root:x:0:\nsudo:x:27:\nmallory:x:1000:\n",
		"/etc/gshadow": "root:*::\nsudo:*::\nmallory:!::\n",
		"/etc/shells":  "# shells\n/bin/sh\n/bin/bash\n",
		"/etc/hosts":   "127.0.0.1 localhost\n",
		"/bin/bash":    "#!",
		"/bin/sh":      "#!",

		"/etc/skel/.profile":     "umask 022\n",
		"/etc/sudoers.d/README":  "",
		"/run/emulab/jail.conf":  "VNODEID=\"pcvm1-1\"\nHOSTNAME=\"node-a.demo.jails.example.emulab.net\"\nDOMAIN=\"example.emulab.net\"\nPID=\"jails\"\nEID=\"demo\"\nNICKNAME=\"node-a\"\nJAILIP=\"172.16.1.1\"\n",
		"/var/emulab/boot/.keep": "",
	} {
		mustWrite(tb, filepath.Join(root, path), text)
	}
	for _, p := range []string{"/bin/bash", "/bin/sh"} {
		if err := os.Chmod(filepath.Join(root, p), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	f := &fakeTMCD{broken: map[string]int{}, replies: map[string]string{
		"isalive":   "UPDATE=0\n",
		"status":    "ALLOCATED=jails/demo NICKNAME=node-a\n",
		"keyhash":   "KEYHASH HASH='abcdef0123456789'\n",
		"eventkey":  "EVENTKEY KEY='00112233'\n",
		"creator":   "CREATOR=alice SWAPPER=bob\n",
		"hostnames": "NAME=node-a-lan0 IP=10.1.1.2 ALIASES='node-a-0 node-a'\nNAME=node-b-lan0 IP=10.1.1.3 ALIASES='node-b-0 node-b'\n",
		"accounts": "ADDGROUP NAME=jails GID=6001\n" +
			"ADDUSER LOGIN=alice PSWD=$1$x$y UID=2001 GID=6001 ROOT=1 NAME=\"Alice A\" HOMEDIR=/users/alice GLIST=\"\" SERIAL=100 EMAIL=\"alice@example.net\" SHELL=bash\n" +
			"PUBKEY LOGIN=alice KEY=\"ssh-ed25519 AAAA alice@home\"\n" +
			"ADDUSER LOGIN=bob PSWD=* UID=2002 GID=6001 ROOT=0 NAME=\"Bob\" HOMEDIR=/users/bob GLIST=\"\" SERIAL=100 EMAIL=\"\" SHELL=tcsh\n",
	}}
	socket := filepath.Join(root, "run/emulab/tmcc")
	l, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go f.serve(l)
	out := &syncBuffer{}
	n, err := Open(root, "", out)
	if err != nil {
		tb.Fatal(err)
	}
	n.Pause = time.Millisecond
	j := &jail{n, f, out, tb}
	j.stopAgentsLater()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("output:\n%s", out.bytes())
		}
	})
	return j
}

func mustWrite(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func (j *jail) read(path string) string {
	j.tb.Helper()
	text, err := os.ReadFile(j.path(path))
	if err != nil {
		j.tb.Fatal(err)
	}
	return string(text)
}

// boot boots and expects no fatal failure.
func (j *jail) boot() *Summary {
	j.tb.Helper()
	sum, err := j.Do(context.Background(), Boot)
	if err != nil {
		j.tb.Fatalf("boot: %v", err)
	}
	return sum
}

// step returns a step's result.
func step(tb testing.TB, s *Summary, name string) Result {
	tb.Helper()
	for _, r := range s.Steps {
		if r.Step == name {
			return r
		}
	}
	tb.Fatalf("no step %q in %+v", name, s.Steps)
	return Result{}
}

func TestBoot(t *testing.T) {
	j := newJail(t)
	sum := j.boot()
	if sum.State != "ISUP" || sum.Failures() != 0 {
		t.Fatalf("state %q, %d failures:\n%s", sum.State, sum.Failures(), sum.Text())
	}
	for path, want := range map[string]string{
		"/var/emulab/boot/nickname":         "node-a.demo.jails\n",
		"/var/emulab/boot/jailname":         "pcvm1-1\n",
		"/var/emulab/boot/keyhash":          "abcdef0123456789\n",
		"/var/emulab/boot/eventkey":         "00112233",
		"/var/emulab/boot/creator":          "alice\n",
		"/var/emulab/boot/swapper":          "bob\n",
		"/users/alice/.forward":             "alice@example.net\n",
		"/users/alice/.profile":             "umask 022\n",
		"/users/alice/.ssh/authorized_keys": keysHeader + "ssh-ed25519 AAAA alice@home\n",
		"/etc/hosts": "127.0.0.1\tlocalhost loghost localhost.example.emulab.net\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"172.16.1.1\tnode-a.demo.jails.example.emulab.net # this jail\n" +
			"10.1.1.2\tnode-a-lan0 node-a-0 node-a\n10.1.1.3\tnode-b-lan0 node-b-0 node-b\n",
		"/var/emulab/db/passdb":  "alice 2001:100\nbob 2002:100\n",
		"/var/emulab/db/groupdb": "jails 6001:0\n",
		"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nmallory:x:1000:1000::/home/mallory:/bin/sh\n" +
			"alice:x:2001:6001:Alice A:/users/alice:/bin/bash\nbob:x:2002:6001:Bob:/users/bob:/bin/bash\n",
		"/etc/group":            "root:x:0:\nsudo:x:27:alice\nmallory:x:1000:\njails:x:6001:\n",
		"/etc/sudoers.d/emulab": "# Written by Emulab: who may become root in this node.\nalice ALL=(ALL:ALL) NOPASSWD: ALL\n",
	} {
		if got := j.read(path); got != want {
			t.Errorf("%s:\n%q, want\n%q", path, got, want)
		}
	}
	want := []string{"fullconfig", "hostnames", "state ISUP"}
	if asked := j.tmcd.boot(); !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if !bytes.Contains(j.out.bytes(), []byte("pcvm1-1 boot: ISUP")) {
		t.Error("no summary printed")
	}
	j.read("/var/emulab/logs/boot.json")
	j.read("/var/emulab/logs/boot.log")
}

func TestSecondBootChangesNothing(t *testing.T) {
	j := newJail(t)
	j.boot()
	before := snapshot(t, j.Root)
	sum := j.boot()
	if sum.Changed() {
		t.Errorf("changes on the second run:\n%s", sum.Text())
	}
	after := snapshot(t, j.Root)
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s: was %s, is %s", path, was, after[path])
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new", path)
		}
	}
}

// snapshot lists all files with mode, size, inode and time, but for those that
// say themselves when they were written.
func snapshot(tb testing.TB, root string) map[string]string {
	tb.Helper()
	all := map[string]string{}
	err := filepath.Walk(root, func(path string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if strings.HasPrefix(rel, "var/emulab/logs") || strings.HasPrefix(rel, "var/emulab/boot/tmcc") ||
			strings.HasPrefix(rel, "run/") || fi.IsDir() {
			return nil
		}
		all[rel] = fi.Mode().String() + " " + fi.ModTime().String()
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestFreeNodeEndsQuietly(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("status", "FREE\n")
	if _, err := j.Do(context.Background(), Boot); err != nil {
		t.Fatalf("boot: %v", err)
	}
	if n := j.tmcd.count("state"); n != 0 {
		t.Errorf("reported a state %d times", n)
	}
}

func TestFatalFailureIsReported(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("creator", "NOBODY=1\n")
	sum, err := j.Do(context.Background(), Boot)
	if err == nil || !strings.Contains(err.Error(), "creator") {
		t.Fatalf("error %v, want creator's", err)
	}
	if sum.State != "TBFAILED" || j.tmcd.count("state TBFAILED") != 1 || j.tmcd.count("booterrno -1") != 1 {
		t.Errorf("state %q, asked %q", sum.State, j.tmcd.boot())
	}
	if j.tmcd.count("state ISUP") != 0 {
		t.Error("ISUP was a lie")
	}
	if asked := j.tmcd.boot(); !slices.ContainsFunc(asked, func(s string) bool {
		return strings.HasPrefix(s, "bootlog") && strings.Contains(s, "fatal: creator")
	}) {
		t.Errorf("no boot log with the reason: %q", asked)
	}
}

func TestQuestionsAreRepeated(t *testing.T) {
	for _, command := range []string{"fullconfig", "hostnames", "state"} {
		t.Run(command, func(t *testing.T) {
			j := newJail(t)
			j.tmcd.mu.Lock() // its goroutines are there already
			j.tmcd.broken[command] = 2
			j.tmcd.mu.Unlock()
			j.boot()
			if n := j.tmcd.count(command); n != 3 {
				t.Errorf("asked %d times, want 3", n)
			}
		})
	}
}

// kill ends a process the hard way and waits until it's gone.
func kill(tb testing.TB, pid int) {
	tb.Helper()
	if pid <= 0 {
		tb.Fatalf("no process to kill: %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runs(pid) {
		if time.Now().After(deadline) {
			tb.Fatalf("process %d doesn't die", pid)
		}
		time.Sleep(time.Millisecond)
	}
}
