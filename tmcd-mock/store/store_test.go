package store

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMain lets the test run itself as a process that is killed: see TestSurvivesKill.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_WRITER"); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

// writeForEver says on stdout how far it has come, after each report that Put has promised to keep.
func writeForEver(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := s.Put(Report{Node: "pc1", Kind: "bootlog", Text: Text(fmt.Sprint(i))}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func TestSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_WRITER="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for last < 20 {
		if _, err := fmt.Fscanln(out, &last); err != nil {
			t.Fatalf("the writer ended after %d: %v", last, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := 0
	if _, err := fmt.Sscan(string(s.Reports("pc1")["bootlog"].Text), &got); err != nil || got < last {
		t.Errorf("after kill -9: report %d, %v; the writer was told that %d is kept", got, err, last)
	}
}

func TestReports(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.db")
	for _, row := range []struct {
		name string
		open func() (*Store, error)
	}{
		{"memory", func() (*Store, error) { return New(), nil }},
		{"file", func() (*Store, error) { return Open(path) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, err := row.open()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			at := time.Now()
			err = s.Put(Report{at, "pc1", "state", "BOOTING"}, Report{at, "pc1", "state", "ISUP"}, Report{at, "pc1", "bootlog", "\xff\x00"}, Report{at, "pc2", "state", "X"})
			if err != nil {
				t.Fatal(err)
			}
			got := s.Reports("pc1")
			if len(got) != 2 || got["state"].Text != "ISUP" || got["bootlog"].Text != "\xff\x00" || len(s.Nodes()) != 2 {
				t.Errorf("reports %q", got)
			}
			if err := s.Forget("pc1"); err != nil || len(s.Reports("pc1")) != 0 || len(s.Reports("pc2")) != 1 {
				t.Errorf("after forgetting pc1: %v, %v", err, s.Nodes())
			}
		})
	}
	s, err := Open(path)
	if err != nil || len(s.Nodes()) != 1 {
		t.Fatalf("opened again: %v, %v", s, err)
	}
	defer s.Close()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestTogether: whoever reports and forgets at once, the file says in the end what
// memory says.
func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 30 {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				var err error
				if i == 7 {
					err = s.Forget("pc1")
				} else {
					err = s.Put(Report{Node: "pc1", Kind: "state", Text: Text(fmt.Sprint(round, i))})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		known := s.Reports("pc1")["state"].Text
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(path); err != nil {
			t.Fatal(err)
		}
		if got := s.Reports("pc1")["state"].Text; got != known {
			t.Fatalf("round %d: memory said %q, the file %q", round, known, got)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	rubbish := filepath.Join(dir, "rubbish")
	if err := os.WriteFile(rubbish, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, rubbish, filepath.Join(dir, "none", "x")} {
		if s, err := Open(path); err == nil {
			t.Errorf("%s was opened: %v", path, s)
		}
	}
}

// Whatever bytes a node sent come back from JSON, and nothing in the JSON can move a cursor.
func TestTextThroughJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := Text(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Text
		if err := json.Unmarshal(data, &out); err != nil || out != in {
			t.Fatalf("%q became %s, and then %q, %v", in, data, out, err)
		}
		for _, r := range string(data) {
			if r < 0x20 || 0x7f <= r && r < 0xa0 {
				t.Fatalf("%q: %s holds control character %#x", in, data, r)
			}
		}
	})
}

func TestText(t *testing.T) {
	for _, row := range []struct {
		in      Text
		json    string
		escaped string
	}{
		{"plain", `"plain"`, "plain"},
		{"a\x1b[2J\x07", `"a\u001b[2J\u0007"`, `a\x1b[2J\x07`},
		{"tab\tline\n", `"tab\tline\n"`, `tab\x09line\x0a`},
		{`back\slash "quote"`, `"back\\slash \"quote\""`, `back\\slash "quote"`},
		{"\x7f\u0085\u202e", `"\u007f\u0085\u202e"`, `\x7f\xc2\x85\xe2\x80\xae`},
		{"\xff\xc3", `"\udcff\udcc3"`, `\xff\xc3`},
		{"Grüße, 世界 😀", `"Grüße, 世界 😀"`, "Grüße, 世界 😀"},
		{"\xed\xb3\xbf", `"\udced\udcb3\udcbf"`, `\xed\xb3\xbf`},
	} {
		got, err := row.in.MarshalJSON()
		if err != nil || string(got) != row.json {
			t.Errorf("%q as JSON: %s, %v; want %s", row.in, got, err, row.json)
		}
		if got := row.in.Escaped(false); got != row.escaped {
			t.Errorf("%q escaped: %s, want %s", row.in, got, row.escaped)
		}
	}
	if got := Text("a\n\x01").Escaped(true); got != "a\n"+`\x01` {
		t.Errorf("lines kept: %q", got)
	}
	for in, want := range map[string]string{`"\u0041\/\b\f\r"`: "A/\b\f\r", `"\ud83d\ude00"`: "😀", `"\ud83d"`: "\ufffd", `"\uD83D\uDCFF"`: "📿"} {
		var out Text
		if err := json.Unmarshal([]byte(in), &out); err != nil || string(out) != want {
			t.Errorf("%s: %q, %v; want %q", in, out, err, want)
		}
	}
	for _, in := range []string{`12`, `null`, `{}`, ``} {
		var out Text
		if err := out.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%s was read as %q", in, out)
		}
	}
}

func TestJournal(t *testing.T) {
	j := NewJournal()
	for i := range JournalSize + 5 {
		j.Add(Event{Text: Text(fmt.Sprint(i))})
	}
	all := j.Since(0)
	if len(all) != JournalSize || all[0].Seq != 6 || all[0].Text != "5" || all[len(all)-1].Seq != JournalSize+5 {
		t.Errorf("%d events, from %+v", len(all), all[0])
	}
	if last := j.Since(JournalSize + 5); len(last) != 1 || j.Next() != JournalSize+6 {
		t.Errorf("the last: %v, next %d", last, j.Next())
	}
	if none := j.Since(JournalSize + 6); none != nil {
		t.Errorf("from the future: %v", none)
	}
}

func TestJournalWait(t *testing.T) {
	j := NewJournal()
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			if err := j.Wait(t.Context(), 2); err != nil || len(j.Since(2)) == 0 {
				t.Errorf("waited for event 2: %v", err)
			}
		})
	}
	j.Add(Event{})
	j.Add(Event{})
	work.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Wait(ctx, 3); err != context.Canceled {
		t.Errorf("waited in a dead context: %v", err)
	}
}
