package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emujail/jailsetup/plan"
)

// mark is a step that leaves a file, and fails on demand.
type mark struct {
	path string
	fail error
}

func (m mark) String() string { return "make " + filepath.Base(m.path) }
func (m mark) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo("file", m.path)
	return []plan.Undo{u}, err
}
func (m mark) Do(context.Context, *plan.State) error {
	if m.fail != nil {
		return m.fail
	}
	return os.WriteFile(m.path, nil, 0o600)
}

func deeds(order *[]string) plan.Deeds {
	return plan.Deeds{"file": func(_ context.Context, data json.RawMessage) error {
		var path string
		if err := json.Unmarshal(data, &path); err != nil {
			return err
		}
		*order = append(*order, filepath.Base(path))
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}}
}

func open(t *testing.T, path string) *plan.Log {
	t.Helper()
	l, err := plan.OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFailedPlanUnwindsBackwards(t *testing.T) {
	dir := t.TempDir()
	logPath := filepath.Join(dir, "undo.log")
	boom := errors.New("boom")
	steps := []plan.Step{mark{path: dir + "/a"}, mark{path: dir + "/b"}, mark{path: dir + "/c", fail: boom}, mark{path: dir + "/d"}}
	var events []plan.Event
	err := plan.Run(t.Context(), steps, open(t, logPath), &plan.State{}, func(e plan.Event) { events = append(events, e) })
	if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "make c: ") {
		t.Fatalf("Run = %v, want the failing step's words and cause", err)
	}
	if len(events) != 3 || events[2].Error != "boom" {
		t.Errorf("trace = %+v, want three steps, the last failed", events)
	}

	// The process that unwinds is another one: it has only the file.
	var order []string
	if err := open(t, logPath).Unwind(t.Context(), deeds(&order)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"c", "b", "a"}; !slices.Equal(order, want) {
		t.Errorf("undone %v, want %v", order, want)
	}
	left, _ := filepath.Glob(dir + "/*")
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnwindStopsAndGoesOn(t *testing.T) {
	logPath := filepath.Join(t.TempDir(), "undo.log")
	l := open(t, logPath)
	for _, p := range []string{"a", "b", "c"} {
		u, _ := plan.NewUndo("file", p)
		if err := l.Append(u); err != nil {
			t.Fatal(err)
		}
	}
	busy := true
	var done []string
	table := plan.Deeds{"file": func(_ context.Context, data json.RawMessage) error {
		if string(data) == `"b"` && busy {
			return errors.New("busy")
		}
		done = append(done, string(data))
		return nil
	}}
	if err := l.Unwind(t.Context(), table); err == nil || err.Error() != "undo file: busy" {
		t.Fatalf("Unwind = %v, want the busy one named", err)
	}
	busy = false
	if err := open(t, logPath).Unwind(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if want := []string{`"c"`, `"b"`, `"a"`}; !slices.Equal(done, want) {
		t.Errorf("done %v, want each once: %v", done, want)
	}
}

func TestOpenLog(t *testing.T) {
	tests := []struct {
		name, content string
		pending       int
		err           string
	}{
		{"empty", "", 0, ""},
		{"one undone", `{"undo":{"kind":"a","data":1}}` + "\n" + `{"undo":{"kind":"b","data":1}}` + "\n" + `{"undone":1}` + "\n", 1, ""},
		{"cut by a crash", `{"undo":{"kind":"a","data":1}}` + "\n" + `{"undo":{"ki`, 1, ""},
		{"not ours", "hello\n", 0, ":1: invalid character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "undo.log")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := plan.OpenLog(path)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("OpenLog = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := len(l.Pending()); got != tt.pending {
				t.Errorf("pending = %d, want %d", got, tt.pending)
			}
			u, _ := plan.NewUndo("z", 1)
			if err := l.Append(u); err != nil {
				t.Fatal(err)
			}
			if got := len(open(t, path).Pending()); got != tt.pending+1 {
				t.Errorf("pending after append and re-read = %d, want %d", got, tt.pending+1)
			}
		})
	}
}

// TestLogCanBeReadAgain: whatever is appended is read by the next process; what
// couldn't be is refused before its deed, and costs nothing of what is there.
func TestLogCanBeReadAgain(t *testing.T) {
	const frame = len(`{"undo":{"kind":"z","data":""}}` + "\n")
	text := func(line int) plan.Undo {
		u, err := plan.NewUndo("z", strings.Repeat("x", line-frame))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	t.Run("one line", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "undo.log")
		l := open(t, path)
		if err := l.Append(text(64 << 10)); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(text(64<<10 + 1)); err == nil || !strings.Contains(err.Error(), "record undo z: it takes 65537 bytes") {
			t.Errorf("a line too long: %v", err)
		}
		if got := len(open(t, path).Pending()); got != 1 {
			t.Errorf("%d records are read, want the one that was written", got)
		}
	})
	t.Run("many", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "undo.log")
		written := 0
		for l := open(t, path); ; written++ {
			if err := l.Append(text(40 << 10)); err != nil {
				if !strings.Contains(err.Error(), "the log has") {
					t.Error(err)
				}
				break
			}
		}
		if err := open(t, path).Append(text(40 << 10)); err == nil {
			t.Error("whoever opens it anew may go on")
		}
		undone := 0
		table := plan.Deeds{"z": func(context.Context, json.RawMessage) error { undone++; return nil }}
		if err := open(t, path).Unwind(t.Context(), table); err != nil || undone != written || written < 50 {
			t.Errorf("%d of %d records undone: %v", undone, written, err)
		}
	})
	t.Run("a step whose undo is too long", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "undo.log")
		long := mark{path: "/" + strings.Repeat("x", 64<<10)}
		err := plan.Run(t.Context(), []plan.Step{long}, open(t, path), &plan.State{}, nil)
		if err == nil || !strings.Contains(err.Error(), "can be read again") {
			t.Errorf("Run = %v, want it refused before the deed", err)
		}
	})
}
