package network

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestWhole: a list that has changed while it was read is read again, one that
// always does is an error in the end.
func TestWhole(t *testing.T) {
	other := errors.New("other")
	for _, row := range []struct {
		name        string
		interrupted int // so often
		then        error
		calls       int
		err         error
	}{
		{"at once", 0, nil, 1, nil},
		{"the third time", 2, nil, 3, nil},
		{"another error", 1, other, 2, other},
		{"never", 1000, nil, dumpTries, netlink.ErrDumpInterrupted},
	} {
		t.Run(row.name, func(t *testing.T) {
			calls := 0
			list, err := whole(func() ([]int, error) {
				if calls++; calls <= row.interrupted {
					return []int{1}, netlink.ErrDumpInterrupted
				}
				return []int{1, 2}, row.then
			})
			if calls != row.calls || !errors.Is(err, row.err) || err == nil && len(list) != 2 {
				t.Errorf("%d calls, %v, %v", calls, list, err)
			}
		})
	}
}
