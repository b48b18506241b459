package proxy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The form of a line is a promise to those who read the log.
func TestAuditLineIsGolden(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)
	var got []byte
	for _, l := range []Line{
		{Time: at, VNode: "pcvm1-1", Peer: Peer{PID: 4711, UID: 100000, Comm: "tmcc"}, Command: "accounts", Outcome: outcomeOK,
			RequestBytes: 20, ReplyBytes: 2048, Millis: 1.25},
		{Time: at, VNode: "pcvm1-1", Peer: Peer{PID: 4712, UID: 100000, Comm: "x\"\n\x1b[2J"}, Command: "keyhash",
			Stripped: []string{"PROXYFOR", "PRIVKEY"}, Outcome: outcomeOK, RequestBytes: 60, ReplyBytes: 30, Millis: 0.5},
		{Time: at, VNode: "pcvm1-2", Outcome: outcomeRefused, Why: errControl.Error(), RequestBytes: 9},
	} {
		got = appendLine(got, l)
	}
	want, err := os.ReadFile("testdata/audit.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAuditLogIsBoundedAndReplaced(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	full := make(chan struct{}, 10)
	a := startAudit(nil, func() { full <- struct{}{} })
	if err := a.use(open("one"), 500); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		a.add(Line{VNode: "pcvm1-1"})
	}
	eventually(t, "the log is full", func() bool { return a.lost.Load() > 0 })
	<-full
	if err := a.use(open("two"), 0); err != nil {
		t.Fatal(err)
	}
	a.add(Line{VNode: "pcvm1-2"})
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	one, _ := os.ReadFile(filepath.Join(dir, "one"))
	two, _ := os.ReadFile(filepath.Join(dir, "two"))
	if len(one) > 500 || !bytes.HasSuffix(two, []byte("}\n")) || !bytes.Contains(two, []byte("pcvm1-2")) {
		t.Errorf("one has %d bytes, two is %q", len(one), two)
	}
	if len(full) != 0 {
		t.Errorf("told %d times too often", len(full))
	}
}

// brokenDisk takes half a line and fails, until it is mended.
type brokenDisk struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	mended bool
}

func (d *brokenDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mended || len(p) == 1 {
		return d.buf.Write(p)
	}
	n, _ := d.buf.Write(p[:len(p)/2])
	return n, errors.New("no space left on device")
}

func TestFullDiskCostsLinesAndNoRequest(t *testing.T) {
	disk := &brokenDisk{}
	path := serveAlone(t, Options{Tmcd: Tmcd{Servers: servers(startTmcd(t, nil))}, Audit: disk})
	for range 3 {
		if reply, err := ask(t, path, "status "); err != nil || !strings.Contains(reply, "as=pcvm1-1 ") {
			t.Errorf("%q, %v", reply, err)
		}
	}
	disk.mu.Lock()
	disk.mended = true
	disk.mu.Unlock()
	if _, err := ask(t, path, "nodeid "); err != nil {
		t.Error(err)
	}
	eventually(t, "a whole line", func() bool {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		lines := strings.Split(strings.TrimSuffix(disk.buf.String(), "\n"), "\n")
		last := lines[len(lines)-1]
		return strings.HasPrefix(last, `{"time"`) && strings.Contains(last, `"nodeid"`) && strings.HasSuffix(last, "}")
	})
}
