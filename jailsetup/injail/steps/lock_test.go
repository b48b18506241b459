package steps

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// another is the jail as another process sees it.
func (j *jail) another() *Node {
	j.tb.Helper()
	n, err := Open(j.Root, "", &syncBuffer{})
	if err != nil {
		j.tb.Fatal(err)
	}
	return n
}

// hold takes the lock of updates and returns what gives it back.
func (j *jail) hold() (release func()) {
	j.tb.Helper()
	giveBack, err := j.another().lock(context.Background(), 0)
	if err != nil {
		j.tb.Fatal(err)
	}
	return func() {
		j.tb.Helper()
		if err := giveBack(); err != nil {
			j.tb.Error(err)
		}
	}
}

// onFirst is told of the first write.
type onFirst struct {
	once sync.Once
	do   func()
}

func (w *onFirst) Write(p []byte) (int, error) {
	w.once.Do(w.do)
	return len(p), nil
}

// TestNoUpdateInABoot: while any action is under way an update isn't, and the one
// that the watchdog asks for gives up.
func TestNoUpdateInABoot(t *testing.T) {
	for _, a := range []Action{Boot, Reconfig, Shutdown, Reset} {
		t.Run(string(a), func(t *testing.T) {
			j := newJail(t)
			j.boot()
			asked := false
			j.Out = &onFirst{do: func() {
				asked = true
				if err := j.another().Update(context.Background(), nil, false, true); !errors.Is(err, errBusy) {
					t.Errorf("an update meanwhile: %v", err)
				}
			}}
			if _, err := j.Do(context.Background(), a); err != nil || !asked {
				t.Errorf("asked %v: %v", asked, err)
			}
			if err := j.another().Update(context.Background(), []string{"accounts"}, false, true); err != nil {
				t.Errorf("an update afterwards: %v", err)
			}
		})
	}
}

// TestBootWaitsForAnUpdate: it says so, does nothing until then, and then all.
func TestBootWaitsForAnUpdate(t *testing.T) {
	j := newJail(t)
	release := j.hold()
	done := make(chan *Summary, 1)
	go func() {
		sum, err := j.Do(context.Background(), Boot)
		if err != nil {
			t.Error(err)
		}
		done <- sum
	}()
	await(t, "the wait", func() bool { return strings.Contains(string(j.out.bytes()), errBusy.Error()) })
	if asked := j.tmcd.boot(); len(asked) > 0 {
		t.Errorf("asked %q meanwhile", asked)
	}
	release()
	if sum := <-done; sum.State != "ISUP" || sum.Failures() > 0 {
		t.Errorf("%s: %s", sum.State, sum.Text())
	}
}

// TestUpdateThatDoesNotEnd: nobody waits for it for ever. A boot fails by it, and
// says so; a node that is up stays up.
func TestUpdateThatDoesNotEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		up     bool
		action Action
		states []string // that tmcd hears of
	}{
		{"first boot", false, Boot, []string{"state TBFAILED"}},
		{"boot of a node that is up", true, Boot, nil},
		{"reconfiguration of a node that is up", true, Reconfig, nil},
		{"shutdown", true, Shutdown, nil},
		{"update", true, Refresh, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJail(t)
			if tt.up {
				j.boot()
			}
			before := len(j.tmcd.boot())
			defer j.hold()()
			j.patience = 2 * updateLook
			var err error
			if tt.action == Refresh {
				err = j.Update(context.Background(), nil, false, false)
			} else {
				_, err = j.Do(context.Background(), tt.action)
			}
			if !errors.Is(err, errBusy) {
				t.Errorf("%s: %v", tt.action, err)
			}
			var states []string
			for _, s := range j.tmcd.boot()[before:] {
				if strings.HasPrefix(s, "state ") {
					states = append(states, s)
				}
			}
			if strings.Join(states, ",") != strings.Join(tt.states, ",") {
				t.Errorf("tmcd hears %q, want %q", states, tt.states)
			}
			if tt.states != nil && !strings.Contains(j.read(logDir+"/boot.json"), errBusy.Error()) {
				t.Error("the summary doesn't say why")
			}
		})
	}
}

// TestWaitIsBounded: as long as the original's, and told once.
func TestWaitIsBounded(t *testing.T) {
	j := newJail(t)
	defer j.hold()()
	n := j.another()
	synctest.Test(t, func(t *testing.T) {
		for _, patience := range []time.Duration{0, n.patience} {
			began := time.Now()
			if _, err := n.lock(t.Context(), patience); !errors.Is(err, errBusy) || time.Since(began) != patience {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
	})
	said := string(n.Out.(*syncBuffer).bytes())
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "waiting for 1m40s at most") {
		t.Errorf("it says %q", said)
	}
}

// TestWaitIsCalledOff: who is told to end doesn't wait on.
func TestWaitIsCalledOff(t *testing.T) {
	j := newJail(t)
	defer j.hold()()
	why := errors.New("told to end")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := j.Update(ctx, nil, false, false); !errors.Is(err, why) {
		t.Error(err)
	}
}

// TestLockIsRoots: a user of the jail, who can open nothing for it, can't stop a
// boot, by an older file neither.
func TestLockIsRoots(t *testing.T) {
	j := newJail(t)
	mustWrite(t, j.path(updateLock), "")
	j.boot()
	if st, err := os.Stat(j.path(updateLock)); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

// TestRecordsAreReadUnderTheLock: what another run has made by the time that the
// users' files are ours is in the records that are read.
func TestRecordsAreReadUnderTheLock(t *testing.T) {
	for _, a := range []Action{Refresh, Reset} {
		t.Run(string(a), func(t *testing.T) {
			j := newJail(t)
			j.boot()
			records := j.read(passDB)
			if err := os.Remove(j.path(passDB)); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mkfifo(j.path(passDB), 0o600); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := j.do(context.Background(), a, j.steps(a, []string{"accounts"}))
				done <- err
			}()
			var w *os.File
			await(t, "a reader", func() (ok bool) {
				var err error
				w, err = os.OpenFile(j.path(passDB), os.O_WRONLY|syscall.O_NONBLOCK, 0)
				return err == nil
			})
			if _, err := os.Stat(j.path("/etc/passwd.lock")); err != nil {
				t.Errorf("read without the lock: %v", err)
			}
			if _, err := w.WriteString(records); err != nil {
				t.Error(err)
			}
			w.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if a == Refresh && j.read(passDB) != records {
				t.Errorf("the records are\n%swant\n%s", j.read(passDB), records)
			}
		})
	}
}
