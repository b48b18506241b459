package wait

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil(t *testing.T) {
	errNotYet := errors.New("not yet")
	for _, row := range []struct {
		name  string
		looks int           // that fail
		most  time.Duration // of waiting
		gone  time.Duration // until ctx ends; 0: never
		want  time.Duration
		err   string
	}{
		{"at once", 0, time.Second, 0, 0, ""},
		{"after three looks", 3, time.Second, 0, 3 * interval, ""},
		{"never", 1 << 30, time.Second, 0, time.Second, "waited 1s for the thing: not yet"},
		{"nobody wants it any more", 1 << 30, time.Hour, 5 * time.Second, 5 * time.Second, "for the thing: not yet"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.gone > 0 {
					time.AfterFunc(row.gone, cancel)
				}
				begun, left := time.Now(), row.looks
				err := Until(ctx, row.most, "the thing", func() error {
					if left == 0 {
						return nil
					}
					left--
					return errNotYet
				})
				if took := time.Since(begun); took < row.want || took > row.want+interval {
					t.Errorf("it took %s, want %s", took, row.want)
				}
				if (err == nil) != (row.err == "") || err != nil && (!errors.Is(err, errNotYet) || !strings.Contains(err.Error(), row.err)) {
					t.Errorf("error %v, want %q", err, row.err)
				}
			})
		})
	}
}
