package proxy

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"emujail/tmcc/client"
)

// buildMock makes the program tmcd-mock.
func buildMock(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "tmcd-mock")
	if out, err := exec.Command("go", "build", "-o", program, "emujail/tmcd-mock").CombinedOutput(); err != nil {
		t.Fatalf("build tmcd-mock: %v\n%s", err, out)
	}
	return program
}

// A mock is a tmcd-mock that runs.
type mock struct {
	addr netip.AddrPort
	cmd  *exec.Cmd
}

// startMock serves a testbed at a free port of 127.0.0.1, where its host pc1 is.
func startMock(t testing.TB, program, testbed string, args ...string) *mock {
	t.Helper()
	args = append([]string{
		"serve", "--testbed", testbed, "--listen", "127.0.0.1:0", "--watch=false", "--manage", filepath.Join(t.TempDir(), "manage"),
	}, args...)
	m := &mock{cmd: exec.Command(program, args...)}
	output, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m.cmd.Stdout, m.cmd.Stderr = w, w
	if err := errors.Join(m.cmd.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(output); s.Scan(); {
			if where := serving.FindStringSubmatch(s.Text()); where != nil {
				lines <- where[1]
			}
		}
	})
	t.Cleanup(func() {
		m.cmd.Process.Signal(syscall.SIGTERM)
		m.cmd.Wait()
		reading.Wait()
		output.Close()
	})
	select {
	case where := <-lines:
		m.addr = netip.MustParseAddrPort(where)
	case <-time.After(20 * time.Second):
		t.Fatal("tmcd-mock doesn't say where it serves")
	}
	return m
}

var serving = regexp.MustCompile(`serving .* on (127\.0\.0\.1:[0-9]+)`)

func (m *mock) server() client.Server {
	return client.Server{Name: "boss", Addrs: []netip.Addr{m.addr.Addr()}, Ports: []int{int(m.addr.Port())}}
}

// siblingsApart is the recorded testbed with pcvm1-2 in another experiment, so
// that its answers differ from pcvm1-1's.
func siblingsApart(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/vectors/testbed.json")
	if err != nil {
		t.Fatal(err)
	}
	var db map[string]any
	if err := json.Unmarshal(text, &db); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, row := range db["reserved"].([]any) {
		if r := row.(map[string]any); r["node_id"] == "pcvm1-2" {
			r["eid"], r["exptidx"] = "wademo", idOf(t, db, "wademo")
			moved++
		}
	}
	if moved != 1 {
		t.Fatalf("%d rows for pcvm1-2", moved)
	}
	text, err = json.Marshal(db)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "testbed.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func idOf(t testing.TB, db map[string]any, eid string) any {
	t.Helper()
	for _, row := range db["experiments"].([]any) {
		if r := row.(map[string]any); r["eid"] == eid {
			return r["idx"]
		}
	}
	t.Fatalf("no experiment %s", eid)
	return nil
}

// S3 again, against tmcd-mock, which answers as Emulab's tmcd does: nothing that
// belongs to pcvm1-2 comes out at pcvm1-1's socket.
func TestS3AgainstTmcdMock(t *testing.T) {
	m := startMock(t, buildMock(t), siblingsApart(t))
	o := Options{
		Tmcd:      Tmcd{Servers: []client.Server{m.server()}},
		Deadlines: Deadlines{Head: 200 * time.Millisecond, Silence: 50 * time.Millisecond, Datagram: 200 * time.Millisecond},
		Limits:    Limits{Rate: 1e6, Burst: 1e6, Bytes: 1e12, BytesBurst: 1e12},
	}
	path := serveAlone(t, o)
	mine, err := ask(t, path, "VERSION=40 keyhash ")
	if err != nil || !strings.Contains(mine, "5f4dcc3b5aa765d61d8327deb882cf99") {
		t.Fatalf("pcvm1-1's own key hash: %q, %v", mine, err)
	}
	secrets := []string{"aaaabbbbccccdddd", "wademo", "node-b", "pcvm1-2"}
	var all sync.WaitGroup
	work := make(chan attack)
	var mu sync.Mutex
	answered := 0
	for range 16 {
		all.Go(func() {
			for a := range work {
				reply, _ := attempt(path, a)
				for _, s := range secrets {
					if strings.Contains(reply, s) {
						t.Errorf("%s: %.200q is answered by %.200q", a.name, a.raw(), reply)
					}
				}
				if reply == mine {
					mu.Lock()
					answered++
					mu.Unlock()
				}
			}
		})
	}
	for _, a := range attacks() {
		work <- a
	}
	close(work)
	all.Wait()
	if answered < 300 {
		t.Errorf("%d were answered with pcvm1-1's own key hash", answered)
	}
	if again, err := ask(t, path, "VERSION=40 keyhash "); err != nil || again != mine {
		t.Errorf("afterwards: %q, %v", again, err)
	}
}
