//go:build unix

package emujail

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"emujail/protocol"
)

// startMock serves a testbed on loopback and returns the server's address and
// the folder of the programs that it was built with.
func startMock(t *testing.T, testbed string) (addr, bin string) {
	t.Helper()
	bin = build(t, "tmcd-mock", "tmcc")
	cmd := exec.Command(filepath.Join(bin, "tmcd-mock"), "serve", "--quiet", "--testbed", testbed,
		"--listen", "127.0.0.1:0", "--manage", filepath.Join(t.TempDir(), "mock"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it ended by our signal
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(` on (127\.0\.0\.1:\d+) `).FindStringSubmatch(lines.Text()); m != nil {
			return m[1], bin
		}
	}
	t.Fatal("tmcd-mock doesn't say where it serves")
	return "", ""
}

// askRaw sends bytes and reads until the server closes.
func askRaw(addr, request string) (string, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(c)
	return string(reply), err
}

// exchanges are the `> request` lines of a page with the replies below them.
func exchanges(text string) []step {
	var all []step
	inside := false
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			inside = !inside
			continue
		}
		if request, ok := strings.CutPrefix(line, "> "); inside && ok {
			all = append(all, step{line: n + 1, command: request})
		} else if inside && len(all) > 0 {
			all[len(all)-1].output += line + "\n"
		}
	}
	return all
}

// TestProtocolExchanges: what docs/protocol.md shows is what a tmcd says.
func TestProtocolExchanges(t *testing.T) {
	text, err := os.ReadFile("docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := startMock(t, "testdata/recorded.yaml")
	all := exchanges(string(text))
	if len(all) < 20 {
		t.Errorf("found %d exchanges: that can't be all", len(all))
	}
	for _, x := range all {
		reply, err := askRaw(addr, x.command)
		if err != nil || !x.pattern().MatchString(reply) {
			t.Errorf("docs/protocol.md:%d: %s\nanswers (%v)\n%s", x.line, x.command, err, reply)
		}
	}
}

// TestProtocolTable: the page's table of commands is the code's.
func TestProtocolTable(t *testing.T) {
	text, err := os.ReadFile("docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| (\S+) \| (.*?) ?\| (.*?) ?\| \S.* \|$`).FindAllStringSubmatch(string(text), -1)
	table := protocol.Commands()
	if len(rows) != len(table) {
		t.Fatalf("the page has %d commands, the code %d", len(rows), len(table))
	}
	for i, c := range table {
		want := fmt.Sprintf("%d %s %s %s", c.Number, c.Name, scopeWord(c.Scope), strings.Join(conditions(c.Flags), ", "))
		if got := strings.Join(rows[i][1:], " "); got != want {
			t.Errorf("the page says %q, the code %q", got, want)
		}
	}
}

func scopeWord(s protocol.Scope) string {
	return [...]string{protocol.ScopeNone: "", protocol.ScopePhys: "hosts", protocol.ScopeVirt: "vnodes", protocol.ScopeAll: "both"}[s]
}

func conditions(f protocol.Flags) []string {
	var words []string
	for _, row := range []struct {
		flag protocol.Flags
		word string
	}{
		{protocol.Allocated, "allocated"}, {protocol.RemUDP, "UDP from afar"}, {protocol.RemReqSSL, "TLS from afar"},
		{protocol.ReqTPM, "TPM"}, {protocol.Writes, "writes"},
	} {
		if f.Has(row.flag) {
			words = append(words, row.word)
		}
	}
	return words
}

// TestForeignClient: the client that was written from the page alone.
func TestForeignClient(t *testing.T) {
	addr, bin := startMock(t, "testdata/recorded.yaml")
	door := startDoor(t, bin, addr)
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"a host about itself":   {[]string{addr, "status"}, "ALLOCATED=testbed/jaildemo NICKNAME=vhost-0\n"},
		"a host about a vnode":  {[]string{"-n", "pcvm1-1", addr, "status"}, "ALLOCATED=testbed/jaildemo NICKNAME=node-a\n"},
		"over UDP":              {[]string{"-u", "-n", "pcvm1-1", addr, "nodeid"}, "pcvm1-1\n"},
		"nothing, over UDP":     {[]string{"-u", addr, "nosuchcommand"}, ""},
		"a jail, by its socket": {[]string{door, "status"}, "ALLOCATED=testbed/jaildemo NICKNAME=node-a\n"},
		"keys and values":       {[]string{"-k", "-n", "pcvm1-1", addr, "startupcmd"}, "CMD\t/proj/testbed/bin/start.sh -v >& /tmp/start.log\nUID\tbob\n"},
		"a block":               {[]string{"-b", "creator", "-n", "pcvm1-1", addr, "fullconfig"}, "CREATOR=alice SWAPPER=bob\n"},
		"arguments":             {[]string{"-n", "pcvm1-1", addr, "portregister", "perl", "0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("perl", append([]string{"examples/client/tmcc.pl"}, row.args...)...).CombinedOutput()
			if err != nil || string(out) != row.want {
				t.Errorf("%q: got %q (%v), want %q", row.args, out, err, row.want)
			}
		})
	}
}

// startDoor runs a proxy for pcvm1-1 and returns the path of its socket.
func startDoor(t *testing.T, bin, addr string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "door") // short, for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	door := filepath.Join(dir, "s")
	cmd := exec.Command(filepath.Join(bin, "tmcc"), "-proxy", door, "-o", filepath.Join(dir, "log"), "-i", "-s", addr, "-n", "pcvm1-1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it ended by our signal
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(door); err == nil {
			return door
		}
		if time.Now().After(end) {
			t.Fatal("the proxy makes no socket")
		}
	}
}
