package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestReplay: all that was recorded, over real sockets, must be equal.
func TestReplay(t *testing.T) {
	code, out, errs := runCommand(t, "replay", "--testbed", "../testdata/recorded.yaml", "../testdata/vectors/tmcd.jsonl")
	if code != exitOK || !strings.HasSuffix(out, "replay: 2575 of 2575 equal (100 %)\n") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// TestReplayDifference: what differs is shown, counted, and decides by --min.
func TestReplayDifference(t *testing.T) {
	const lines = `{"id":"a-1","group":"a","binary":"original","transport":"tcp","src_ip":"127.0.0.1","request":"status ","reply":"FREE\n","reply_len":5,"end":"eof"}
{"id":"a-2","group":"a","binary":"original","transport":"tcp","src_ip":"127.0.0.1","request":"nodeid ","reply":"pc1\n","reply_len":4,"end":"eof"}
{"id":"b-1","group":"b","binary":"original","transport":"udp","src_ip":"127.0.0.1","request":"nodeid ","reply":"","reply_len":0,"end":"no-datagram"}
{"id":"b-2","group":"b","binary":"original","transport":"ssl","src_ip":"127.0.0.1","request":"nodeid ","reply":"pc1\n","reply_len":4,"end":"eof"}
`
	file := filepath.Join(t.TempDir(), "v.jsonl")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "replay", file)
	if code != exitFailed || errs != "" {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
	for _, want := range []string{`- "FREE\n"`, `+ "ALLOCATED=jails/demo NICKNAME=vhost-0\n"`, "b-1", "replay: 2 of 4 equal (50 %)\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code, _, _ := runCommand(t, "replay", "--min", "50", file); code != exitOK {
		t.Errorf("--min 50: exit %d", code)
	}
}

func TestReplayUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"replay"}, exitUsage, "want files of recorded exchanges"},
		{[]string{"replay", "--min", "101", "x"}, exitUsage, "want a percentage from 0 to 100"},
		{[]string{"replay", "/no/such"}, exitFailed, "no such file"},
		{[]string{"import"}, exitUsage, "want one testbed file"},
		{[]string{"export", "/no/such"}, exitFailed, "no such file"},
	} {
		if code, _, errs := runCommand(t, tc.args...); code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, %q", tc.args, code, errs)
		}
	}
}

// TestImportExport: rows, YAML, rows again, and nothing lost.
func TestImportExport(t *testing.T) {
	const rows = "../testdata/vectors/testbed.json"
	code, yaml, errs := runCommand(t, "import", rows)
	if code != exitOK {
		t.Fatal(errs)
	}
	file := filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	code, exported, errs := runCommand(t, "export", file)
	if code != exitOK {
		t.Fatal(errs)
	}
	code, direct, errs := runCommand(t, "export", rows)
	if code != exitOK {
		t.Fatal(errs)
	}
	var a, b map[string]any
	if err := json.Unmarshal([]byte(exported), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(direct), &b); err != nil {
		t.Fatal(err)
	}
	for table := range b {
		x, _ := json.Marshal(a[table])
		y, _ := json.Marshal(b[table])
		if !bytes.Equal(x, y) {
			t.Errorf("table %s differs:\n%s\n%s", table, x, y)
		}
	}
}
