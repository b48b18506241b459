package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/protocol/conformance"
	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/testbed"
)

// process runs a program until the test's end; stdout is what it prints.
func process(t testing.TB, name string, args ...string) *bufio.Reader {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s has ended before the test: %v\n%s", name, err, errs.String())
		}
		_ = cmd.Wait() // perl is killed by the signal
	})
	return bufio.NewReader(out)
}

// serveMock starts `tmcd-mock serve` as a process of its own and gives its address.
func serveMock(t testing.TB, args ...string) string {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "m.sock")
	process(t, "tmcd-mock", append([]string{"serve", "-q", "--listen", "127.0.0.1:0", "--manage", sock}, args...)...)
	end := time.Now().Add(patience)
	for {
		s, err := manage.Dial(sock).Status(context.Background())
		if err == nil {
			return s.Listen[0]
		}
		if time.Now().After(end) {
			t.Fatalf("no server within %v: %v", patience, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// rich is the recorded testbed with what it lacks to judge every row: an environment
// that is longer than a datagram, and a node on a node.
func rich(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/recorded.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var env strings.Builder
	for i := range 12 {
		fmt.Fprintf(&env, "LONG%02d: %s, ", i, strings.Repeat("v", 800))
	}
	changed := strings.Replace(string(text), "    environment: {", "    environment: {"+env.String(), 1)
	const nodes = "\n  nodes:\n"
	changed = strings.Replace(changed, nodes, nodes+"    - {node_id: ixp1, phys_nodeid: pc1, type: ixp-bv}\n", 1)
	file := filepath.Join(t.TempDir(), "rich.yaml")
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// everything tells check all that the recorded testbed has.
func everything(addr, pki string, more ...string) []string {
	return append([]string{"check", addr, "--source", "127.0.0.1", "--node", "pc1", "--vnode", "pcvm1-1", "--sibling", "pcvm1-2",
		"--foreign", "pcvm3-1", "--remote", "127.0.0.11", "--free", "127.0.0.2", "--stranger", "127.0.0.99",
		"--also", "127.0.0.3", "--also", "127.0.0.4", "--also", "127.0.0.5", "--also", "127.0.0.6",
		"--privkey", "0123456789abcdef0123456789abcdef", "--pki", pki}, more...)
}

func certificates(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	if out, err := exec.Command("tmcd-mock", "pki", dir).CombinedOutput(); err != nil {
		t.Fatalf("pki: %v: %s", err, out)
	}
	return dir
}

// TestT41Conformance: ids, dry run, JUnit, exit status; against any address. Our own
// server, in a process of its own, passes every row, and each can be judged.
func TestT41Conformance(t *testing.T) {
	t.Parallel()
	certs := certificates(t)
	addr := serveMock(t, "--testbed", rich(t), "--pki", certs)
	junit := filepath.Join(t.TempDir(), "junit.xml")
	code, out, errs := runCommand(t, everything(addr, certs, "--write", "--strict", "--complete", "--json", "--junit", junit)...)
	var said struct {
		Target                 string
		Passed, Failed, NotRun int
		Rows                   []struct{ ID, Outcome, Why string }
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("%v in %s%s", err, out, errs)
	}
	for _, r := range said.Rows {
		if r.Outcome != "passed" {
			t.Errorf("%s %s: %s", r.ID, r.Outcome, r.Why)
		}
	}
	if rows := len(conformance.Rows()); code != exitOK || said.Passed != rows || said.Target != addr {
		t.Errorf("exit %d, target %s, %d passed of %d\n%s", code, said.Target, said.Passed, rows, errs)
	}
	var suite struct {
		Tests int `xml:"tests,attr"`
		Cases []struct {
			Class string `xml:"classname,attr"`
			Name  string `xml:"name,attr"`
		} `xml:"testcase"`
	}
	text, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &suite); err != nil || suite.Tests != len(said.Rows) || len(suite.Cases) != len(said.Rows) {
		t.Fatalf("%v: %d of %d rows in %s", err, suite.Tests, len(said.Rows), text)
	}
	if c := suite.Cases[0]; c.Class != "protocol.section1" || !strings.HasPrefix(c.Name, "1/1 one request") {
		t.Errorf("first case is %+v", c)
	}
}

// Without --write nothing changes.
func TestCheckOnlyReads(t *testing.T) {
	t.Parallel()
	tb, err := testbed.Load("../testdata/recorded.yaml")
	if err != nil {
		t.Fatal(err)
	}
	srv, config, err := serveForReplay(tb)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	var before, after bytes.Buffer
	rows := func(w *bytes.Buffer) {
		if err := tb.Snapshot().Export(w); err != nil {
			t.Fatal(err)
		}
	}
	rows(&before)
	target := conformance.Target{
		Addr: srv.Addrs()[0], Source: netip.MustParseAddr("127.0.0.1"), Foreign: "pcvm3-1", PrivKey: "0123456789abcdef0123456789abcdef",
		Remote: netip.MustParseAddr("127.0.0.11"), Free: netip.MustParseAddr("127.0.0.2"), Stranger: netip.MustParseAddr("127.0.0.99"),
		TLS: &conformance.Credentials{Certificate: config.Certificates[0], CA: config.RootCAs},
	}
	sum := conformance.Run(context.Background(), target, conformance.Options{Strict: true}, func(r conformance.Result) {
		if r.Outcome == conformance.Failed {
			t.Error(r)
		}
	})
	rows(&after)
	if !bytes.Equal(before.Bytes(), after.Bytes()) {
		t.Error("the testbed has changed")
	}
	if sum.Passed < 100 {
		t.Errorf("%v: that can't be all", sum)
	}
}

// Thirty lines of Perl answer three commands: their rows pass, the others fail, row
// by row. testdata/check/three.txt says which.
func TestCheckForeignServer(t *testing.T) {
	t.Parallel()
	line, err := process(t, "perl", "testdata/check/three.pl").ReadString('\n')
	if err != nil {
		t.Fatalf("perl: %v", err)
	}
	code, out, errs := runCommand(t, "check", net.JoinHostPort("127.0.0.1", strings.TrimSpace(line)), "--vnode", "pcvm1-1", "--write", "--strict")
	if code != exitFailed || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	var got []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 2 && line[0] != ' ' && strings.Contains(f[1], "/") {
			got = append(got, f[0]+" "+f[1])
		}
	}
	const file = "testdata/check/three.txt"
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(want)), "\n")
	for _, row := range got {
		if !slices.Contains(rows, row) {
			t.Errorf("%s: not as %s says", row, file)
		}
	}
	if len(rows) != len(got) || len(got) != len(conformance.Rows()) {
		t.Errorf("%d rows, %s has %d", len(got), file, len(rows))
	}
	if t.Failed() {
		t.Log(out)
	}
}

// What goes wrong on demand is found by the row that is about it.
func TestCheckFindsFaults(t *testing.T) {
	certs := certificates(t)
	for _, c := range []struct{ fault, row string }{
		{"cut command=status bytes=20", "6/3"},
		{"garbage command=creator", "6/4"},
		{"empty command=nodeid", "3/1"},
		{"refuse command=routing", "6/12"},
		{"hang command=jailconfig", "6/20"},
		{"reset command=watchdoginfo bytes=4", "6/26"},
		{"delay command=nodeid delay=3s", "1/9"},
		{"slow-close command=nodeid delay=3s", "1/10"},
		{"redirect command=nodeid to=127.0.0.1", "3/2"},
		{"loop command=status", "6/3"},
		{"cut transport=udp command=nodeid bytes=1", "1/50"},
		{"wrong-cert", "1/30"},
		{"garbage command=creator bytes=40", "6/60"},
		{"empty command=firewallinfo", "5/5"},
		{"drip command=hostnames rate=100", "1/19"},
		{"cut command=fullconfig bytes=1000", "6/90"},
		{"garbage command=accounts", "7/20"},
		{"down", "2/1"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			addr := serveMock(t, "--testbed", "../testdata/recorded.yaml", "--pki", certs, "--seed", "1", "--fault", c.fault)
			code, out, _ := runCommand(t, everything(addr, certs, "--write", "--only", c.row, "--timeout", "4s")...)
			if code != exitFailed || !strings.Contains(out, "FAIL  "+c.row) {
				t.Errorf("exit %d: %s", code, out)
			}
		})
	}
}

// Trouble that the protocol allows fails no row.
func TestCheckAllowsSlowness(t *testing.T) {
	t.Parallel()
	addr := serveMock(t, "--testbed", "../testdata/recorded.yaml", "--fault", "slice bytes=50 delay=1ms", "--fault", "delay delay=10ms", "--fault", "half-close")
	code, out, _ := runCommand(t, "check", addr, "--source", "127.0.0.1", "--only", "2/", "--only", "5/", "--only", "3/")
	if code != exitOK {
		t.Errorf("exit %d: %s", code, out)
	}
}

// What the command line can say wrong, and what it can ask without a server.
func TestCheckUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no address", []string{"check"}, exitUsage, "the address of a tmcd"},
		{"a port that is none", []string{"check", "127.0.0.1:x"}, exitUsage, "want ADDR or ADDR:PORT"},
		{"a source that is none", []string{"check", "127.0.0.1", "--source", "here"}, exitUsage, "--source"},
		{"a row that is none", []string{"check", "127.0.0.1:1", "--only", "9/9"}, exitUsage, "no such row"},
		{"a directory that is none", []string{"check", "127.0.0.1", "--pki", "/nonexistent"}, exitFailed, "read certificate"},
		{"nobody there", []string{"check", "127.0.0.1:1", "--only", "3/1"}, exitFailed, "connection refused"},
		{"dry run", []string{"check", "--dry-run"}, exitOK, "2/3    two spaces before the command kill the request\n"},
		{"dry run of a section", []string{"check", "-n", "--only", "5/"}, exitOK, "check: 10 rows\n"},
		{"dry run without strict rows", []string{"check", "-n", "--only", "8/"}, exitOK, "check: 0 rows\n"},
		{"needs", []string{"check", "-n", "--only", "3/14"}, exitOK, "[stranger, privkey]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := runCommand(t, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("exit %d, want %d with %q: %s%s", code, c.code, c.want, out, errs)
			}
		})
	}
}
