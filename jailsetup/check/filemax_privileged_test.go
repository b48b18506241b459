//go:build privileged

package check

import (
	"math"
	"os"
	"strconv"
	"testing"
)

// TestRaiseFileMax: a table that one jail could fill loses its bound, once; one
// that is large enough stays as it is.
func TestRaiseFileMax(t *testing.T) {
	const file = "/proc/sys/fs/file-max"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(file, before, 0); err != nil {
			t.Error(err)
		}
	}()
	const bound = 1 << 30 // more than any test opens
	if err := os.WriteFile(file, strconv.AppendInt(nil, bound, 10), 0); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name         string
		setup        Setup
		raised, then int64
	}{
		{"enough for one jail", Setup{Memory: 1 << 20}, 0, bound},
		{"a jail without limits", Setup{}, bound, math.MaxInt64},
		{"raised already", Setup{}, 0, math.MaxInt64},
	} {
		raised, err := RaiseFileMax(row.setup)
		if err != nil || raised != row.raised {
			t.Errorf("%s: %d, %v; want %d", row.name, raised, err, row.raised)
		}
		if now, err := number("fs/file-max")(Load{}); err != nil || now != row.then {
			t.Errorf("%s: the bound is %d, %v; want %d", row.name, now, err, row.then)
		}
	}
}
