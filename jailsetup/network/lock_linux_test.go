package network

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who can't have the lock because somebody hangs is told so, and which lock.
func TestLockHeld(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*lockTimeout)
		defer cancel()
		began := time.Now()
		_, err := lock(ctx, dir)
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "network.lock")+": others had it for 1m0s (lslocks") {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
