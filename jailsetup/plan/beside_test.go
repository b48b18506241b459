package plan_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/plan"
)

// meet is a step that waits for another to be under way.
type meet struct {
	name       string
	say, other chan struct{}
	fail       error
}

func (m meet) String() string { return m.name }
func (m meet) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo("meet", m.name)
	return []plan.Undo{u}, err
}
func (m meet) Do(ctx context.Context, _ *plan.State) error {
	close(m.say)
	select {
	case <-m.other:
		return m.fail
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestBeside: both are under way at once, the undo is there before, and what
// failed is said where it is waited for.
func TestBeside(t *testing.T) {
	boom := errors.New("boom")
	for _, row := range []struct {
		name string
		fail error
		want string
	}{
		{"well", nil, ""},
		{"failed", boom, "wait for the end of: slow: boom"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, b := make(chan struct{}), make(chan struct{})
			begin, await := plan.Beside(meet{name: "slow", say: a, other: b, fail: row.fail})
			defer begin.Wait()
			log := open(t, filepath.Join(t.TempDir(), "undo.log"))
			err := plan.Run(t.Context(), []plan.Step{begin, meet{name: "other", say: b, other: a}, await}, log, &plan.State{}, nil)
			if got := errorText(err); got != row.want {
				t.Errorf("error %q, want %q", got, row.want)
			}
			var kinds []string
			for _, u := range log.Pending() {
				kinds = append(kinds, string(u.Data))
			}
			if got := strings.Join(kinds, " "); got != `"slow" "other"` {
				t.Errorf("undos: %s", got)
			}
		})
	}
	_, await := plan.Beside(meet{name: "never"})
	if err := await.Do(t.Context(), nil); err == nil {
		t.Error("what never began has ended")
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
