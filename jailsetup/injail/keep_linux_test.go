package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/reap"
)

// kept is a keeper whose starts are counted and fail.
type kept struct {
	*keeper
	mu     sync.Mutex
	starts []time.Time
}

func keep(t *testing.T) *kept {
	t.Helper()
	dir := t.TempDir()
	k := &kept{keeper: &keeper{say: func(string) {}, pidFile: filepath.Join(dir, "pid"), log: filepath.Join(dir, "log"), program: "/x"}}
	k.start = func(p reap.Process) (*reap.Child, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.starts = append(k.starts, time.Now())
		return nil, errors.New("no")
	}
	return k
}

func (k *kept) names(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(k.pidFile, []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestKeeperBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.names(t, 7)
		began := time.Now()
		k.died(7)
		time.Sleep(2 * time.Minute)
		os.Remove(k.pidFile)
		synctest.Wait()
		for i, want := range []time.Duration{200, 600, 1400, 3000, 6200, 12600, 25400, 51000, 81000, 111000} {
			if len(k.starts) <= i || k.starts[i].Sub(began) != want*time.Millisecond {
				t.Fatalf("starts after %v: %v, want the %d. after %v", began, k.starts, i+1, want*time.Millisecond)
			}
		}
		if len(k.starts) != 10 {
			t.Errorf("%d starts", len(k.starts))
		}
		time.Sleep(longLife + time.Second)
		if p := k.next(time.Now()); p != firstPause {
			t.Errorf("pause %v after a long life", p)
		}
	})
}

func TestKeeperLeavesAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *kept)
	}{
		{"a stranger died", func(t *testing.T, k *kept) { k.names(t, 7); k.died(8) }},
		{"a clean end", func(t *testing.T, k *kept) { k.died(7) }},
		{"another was started meanwhile", func(t *testing.T, k *kept) { k.names(t, 7); k.died(7); k.names(t, 9) }},
		{"stopped meanwhile", func(t *testing.T, k *kept) { k.names(t, 7); k.died(7); os.Remove(k.pidFile) }},
		{"no number", func(t *testing.T, k *kept) { os.WriteFile(k.pidFile, []byte("seven"), 0o644); k.died(7) }},
		{"a fifo", func(t *testing.T, k *kept) { unix.Mkfifo(k.pidFile, 0o644); k.died(7) }},
		{"a link", func(t *testing.T, k *kept) {
			k.names(t, 7)
			os.Rename(k.pidFile, k.pidFile+"x")
			os.Symlink(k.pidFile+"x", k.pidFile)
			k.died(7)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keep(t)
				tt.do(t, k)
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(k.starts) > 0 {
					t.Error("started")
				}
			})
		})
	}
}
