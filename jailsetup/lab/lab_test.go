package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlanOf(t *testing.T) {
	tests := []struct {
		addr, prefix string
		number       int
		err          bool
	}{
		{"172.16.1.0", "172.16.0.0/12", 1, false},
		{"172.17.0.0", "172.16.0.0/12", 256, false},
		{"10.0.3.0", "10.0.0.0/8", 3, false},
		{"192.168.7.0", "192.168.0.0/16", 7, false},
		{"172.16.0.0", "", 0, true},  // the gateway's own
		{"172.16.1.1", "", 0, true},  // a jail's
		{"192.0.2.0", "", 0, true},   // not private
		{"fd00::100", "", 0, true},   // not IPv4
		{"127.0.0.1", "", 0, true},   // the built-in testbed's
		{"172.32.1.0", "", 0, true},  // beyond the /12
		{"10.0.3.254", "", 0, true},  // nobody's
		{"192.168.0.0", "", 0, true}, // number 0
	}
	for _, tt := range tests {
		p, n, err := planOf(netip.MustParseAddr(tt.addr))
		if tt.err {
			if err == nil {
				t.Errorf("planOf(%s) = %s, %d, want an error", tt.addr, p, n)
			}
			continue
		}
		if err != nil || p.String() != tt.prefix || n != tt.number {
			t.Errorf("planOf(%s) = %s, %d, %v, want %s, %d", tt.addr, p, n, err, tt.prefix, tt.number)
		}
	}
}

func TestTestbedOfRows(t *testing.T) {
	const one = `{"nodes":[{"node_id":"pc1","phys_nodeid":"pc1"},
		{"node_id":"pcvm1-1","phys_nodeid":"pc1","jailflag":1,"jailip":"172.16.1.1"},
		{"node_id":"pcvm1-2","phys_nodeid":"pc1","jailflag":1}],
		"interfaces":[{"node_id":"pc1","IP":"10.1.1.1","role":"expt"},{"node_id":"pc1","IP":"172.16.1.0","role":"ctrl"}],
		"users":[{"uid":"alice","usr_pswd":"*"},{"uid":"bob","usr_pswd":"*"},{"uid":"eve","usr_pswd":"$6$x"}],
		"user_pubkeys":[{"uid":"bob","pubkey":"ssh-ed25519 AAAA"}],
		"group_membership":[{"uid":"eve","pid":"other"},{"uid":"alice","pid":"jails"},{"uid":"bob","pid":"jails"}],
		"reserved":[{"node_id":"pcvm1-1","pid":"jails","eid":"demo","vname":"node-a"}]}`
	tests := []struct{ name, json, err string }{
		{"one host, one allocated vnode", one, ""},
		{"no vnodes", `{"nodes":[{"node_id":"pc1","phys_nodeid":"pc1"}]}`, "found them on 0"},
		{"two hosts", strings.Replace(strings.Replace(one, `"pcvm1-2","phys_nodeid":"pc1"`, `"pcvm2-1","phys_nodeid":"pc2"`, 1),
			`"reserved":[`, `"reserved":[{"node_id":"pcvm2-1","pid":"jails","eid":"demo","vname":"b"},`, 1), "found them on 2 (pc1, pc2)"},
		{"no control address", strings.Replace(one, `"role":"ctrl"`, `"role":"expt"`, 1), "host pc1 has no control address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r rows
			if err := json.Unmarshal([]byte(tt.json), &r); err != nil {
				t.Fatal(err)
			}
			got, err := r.testbed("x.yaml")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := VNode{"pcvm1-1", "node-a", "jails/demo", "172.16.1.1", "bob"}
			if got.Host != "pc1" || got.Addr.String() != "172.16.1.0" || len(got.VNodes) != 1 || got.VNodes[0] != want {
				t.Errorf("testbed = %+v", got)
			}
		})
	}
}

// TestProgramsWords: a failed program's words are the error, and how it ended
// is still to be had.
func TestProgramsWords(t *testing.T) {
	_, err := Lab{Bin: "/bin"}.run(t.Context(), "sh", "-c", "echo no such testbed >&2; exit 3")
	var exit *exec.ExitError
	if err == nil || err.Error() != "no such testbed" || !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("error %v, exit %v; want the words, and code 3", err, exit)
	}
}

// TestMakeOnce: of two that begin at the same time the second gets [ErrUp].
func TestMakeOnce(t *testing.T) {
	l := Lab{Dir: filepath.Join(t.TempDir(), "var/lab"), Bin: "/nonexistent"}
	addr := Testbed{Addr: netip.MustParseAddr("172.16.1.0")}
	if err := l.Make(t.Context(), addr); err == nil || errors.Is(err, ErrUp) || !l.Exists() {
		t.Fatalf("the first: %v, and the directory is there: %t", err, l.Exists())
	}
	if err := l.Make(t.Context(), addr); !errors.Is(err, ErrUp) || !strings.HasSuffix(err.Error(), "already (jailsetup down removes it)") {
		t.Errorf("the second: %v, want %v", err, ErrUp)
	}
	if err := os.WriteFile(l.pidFile(), fmt.Appendf(nil, "%d", os.Getpid()), 0o600); err != nil { // that is no tmcd-mock
		t.Fatal(err)
	}
	if err := l.Make(t.Context(), addr); !errors.Is(err, ErrUp) || !strings.Contains(err.Error(), "but its tmcd-mock isn't running") {
		t.Errorf("without its tmcd-mock: %v", err)
	}
}

func TestLastLine(t *testing.T) {
	long := strings.Repeat("before\n", 10_000)
	for text, want := range map[string]string{"": "", "one": "one", "one\ntwo\n": "two", long + "last\n\n": "last"} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastLine(path); got != want {
			t.Errorf("last line of %.20q… = %q, want %q", text, got, want)
		}
	}
	if got := lastLine(filepath.Join(t.TempDir(), "none")); !strings.Contains(got, "no such file") {
		t.Errorf("without a log: %q", got)
	}
}

// TestRemoveKeepsStores: with a lab goes everything but what people have left in
// their local stores.
func TestRemoveKeepsStores(t *testing.T) {
	l := Lab{Dir: filepath.Join(t.TempDir(), "lab")}
	work := filepath.Join(l.Stores(), "jails/work")
	for _, dir := range []string{l.Dir, filepath.Dir(work)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(work, []byte("a year"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(); err != nil || l.Exists() {
		t.Fatalf("the lab exists: %t, %v", l.Exists(), err)
	}
	if text, err := os.ReadFile(work); err != nil || string(text) != "a year" {
		t.Errorf("the work is %q, %v", text, err)
	}
	if err := os.RemoveAll(filepath.Dir(work)); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(l.Dir)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
