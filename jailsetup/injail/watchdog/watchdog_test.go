package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"emujail/jailsetup/event/clockjump"
	"emujail/protocol"
)

// world notes what the watchdog does, with seconds since the start.
type world struct {
	mu      sync.Mutex
	begin   time.Time
	lines   []string
	reply   map[string]string
	fail    map[string]int // how many times a command fails before it's answered
	updates int            // how many updates fail
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%.0f ", time.Since(w.begin).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) ask(_ context.Context, command string, args ...string) ([]byte, error) {
	w.note("%s", strings.TrimSpace(command+" "+strings.Join(args, " ")))
	if w.fail[command] > 0 {
		w.fail[command]--
		return nil, errors.New("no answer")
	}
	return []byte(w.reply[command]), nil
}

// watch runs a watchdog for some (fake) time and returns what it did.
func watch(t *testing.T, w *world, info *protocol.WatchdogInfo, length time.Duration) []string {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.begin = time.Now()
		ctx, stop := context.WithTimeout(context.Background(), length)
		defer stop()
		New(Options{
			Ask: w.ask, AskUDP: w.ask, Info: info,
			Update: func(context.Context) error {
				w.note("update")
				if w.updates > 0 {
					w.updates--
					return errors.New("disk full")
				}
				return nil
			},
			Usage:       func() (Usage, error) { return Usage{0.5, 0.25, 0.125, 42}, nil },
			HostKeys:    func() ([]string, error) { return []string{"SSH_HOST_RSA_KEY='x'"}, nil },
			SetRootHash: func(_ context.Context, hash string) error { w.note("root %s", hash); return nil },
		}).Run(ctx)
	})
	return w.lines
}

func TestWatchdog(t *testing.T) {
	quiet := map[string]string{"isalive": "UPDATE=0\n", "rusage": "UPDATE=0\n", "rootpswd": "HASH=$1$x\n",
		"watchdoginfo": "INTERVAL=3600 ISALIVE=300 NTPDRIFT=0 CVSUP=0 RUSAGE=0 HOSTKEYS=0 DHCPDCONF=0 SETROOTPSWD=0\n"}
	with := func(command, reply string) map[string]string {
		m := map[string]string{}
		for k, v := range quiet {
			m[k] = v
		}
		m[command] = reply
		return m
	}
	for _, row := range []struct {
		name   string
		world  *world
		info   *protocol.WatchdogInfo
		length time.Duration
		want   []string
	}{
		{"defaults", &world{reply: quiet}, nil, 1500 * time.Second,
			[]string{"0 isalive", "600 isalive", "1200 isalive"}},
		{"by interval", &world{reply: quiet}, &protocol.WatchdogInfo{Interval: 3600, IsAlive: 300}, 700 * time.Second,
			[]string{"0 isalive", "300 isalive", "600 isalive"}},
		{"update", &world{reply: with("isalive", "UPDATE=1\n")}, &protocol.WatchdogInfo{IsAlive: 300}, 400 * time.Second,
			[]string{"0 isalive", "0 update", "300 isalive", "300 update"}},
		{"retries after 1, 2, 4 s, the rhythm stays", &world{reply: quiet, fail: map[string]int{"isalive": 2}},
			&protocol.WatchdogInfo{IsAlive: 300}, 400 * time.Second, []string{"0 isalive", "1 isalive", "3 isalive", "300 isalive"}},
		{"then the next turn", &world{reply: quiet, fail: map[string]int{"isalive": 100}},
			&protocol.WatchdogInfo{IsAlive: 300}, 310 * time.Second,
			[]string{"0 isalive", "1 isalive", "3 isalive", "7 isalive", "300 isalive", "301 isalive", "303 isalive", "307 isalive"}},
		{"usage, host keys, root's password", &world{reply: quiet},
			&protocol.WatchdogInfo{IsAlive: 300, RUsage: 60, HostKeys: 59999940, SetRootPswd: 100}, 110 * time.Second,
			[]string{"0 hostkeys SSH_HOST_RSA_KEY='x'", "0 isalive", "0 root $1$x", "0 rootpswd",
				"0 rusage LA1=0.50 LA5=0.25 LA15=0.12 DUSED=42.0", "60 rusage LA1=0.50 LA5=0.25 LA15=0.12 DUSED=42.0",
				"100 root $1$x", "100 rootpswd"}},
		{"intervals change", &world{reply: with("watchdoginfo", "INTERVAL=100 ISALIVE=50 NTPDRIFT=0 CVSUP=0 RUSAGE=-1 HOSTKEYS=-1 DHCPDCONF=0 SETROOTPSWD=-1\n")},
			&protocol.WatchdogInfo{Interval: 100, IsAlive: 300}, 160 * time.Second,
			[]string{"0 isalive", "100 watchdoginfo", "100 isalive", "150 isalive"}},
		{"garbage changes nothing", &world{reply: with("watchdoginfo", "what?\n")},
			&protocol.WatchdogInfo{Interval: 100, IsAlive: 300}, 150 * time.Second,
			[]string{"0 isalive", "100 watchdoginfo", "101 watchdoginfo", "103 watchdoginfo", "107 watchdoginfo"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := watch(t, row.world, row.info, row.length)
			if row.name == "usage, host keys, root's password" {
				slices.Sort(got) // of what is due at once any may come first
				slices.Sort(row.want)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("did\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

func TestFailedUpdateIsTriedAgain(t *testing.T) {
	w := &world{reply: map[string]string{"isalive": "UPDATE=1\n"}, updates: 1}
	var got []string
	synctest.Test(t, func(t *testing.T) {
		w.begin = time.Now()
		ctx, stop := context.WithTimeout(context.Background(), 700*time.Second)
		defer stop()
		d := New(Options{Ask: w.ask, AskUDP: w.ask, Info: &protocol.WatchdogInfo{IsAlive: 300}, Update: func(context.Context) error {
			w.note("update")
			w.reply["isalive"] = "UPDATE=0\n" // tmcd has told us once
			if w.updates > 0 {
				w.updates--
				return errors.New("disk full")
			}
			return nil
		}})
		d.Run(ctx)
		got = w.lines
	})
	want := []string{"0 isalive", "0 update", "300 isalive", "300 update", "600 isalive"}
	if !slices.Equal(got, want) {
		t.Errorf("did %q, want %q", got, want)
	}
}

// TestClockIsSet: the rhythm is the monotonic clock's, whatever people or NTP do
// to the other.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			// Without fake time, which has no monotonic clock.
			w := &world{begin: time.Now(), reply: map[string]string{"isalive": "UPDATE=0\n"}}
			d := New(Options{Ask: w.ask, AskUDP: w.ask, Info: &protocol.WatchdogInfo{IsAlive: 300}})
			for n := range 3 {
				duty := d.next()
				duty.due = clockjump.Behind(duty.due, by)
				if wait := time.Until(duty.due); duty.name != "isalive" || wait > time.Duration(n)*300*time.Second || wait < time.Duration(n)*300*time.Second-10*time.Second {
					t.Errorf("turn %d is %s's in %v", n, duty.name, wait)
				}
				d.do(t.Context(), duty)
			}
			if want := []string{"0 isalive", "0 isalive", "0 isalive"}; !slices.Equal(w.lines, want) {
				t.Errorf("did %q, want %q", w.lines, want)
			}
		})
	}
}

// TestRefusedDuty: what the proxy's policy refuses for good is one line in the
// log, and delays no other duty.
func TestRefusedDuty(t *testing.T) {
	var log strings.Builder
	w := &world{reply: map[string]string{"isalive": "UPDATE=0\n"}, fail: map[string]int{"rootpswd": 1000}}
	synctest.Test(t, func(t *testing.T) {
		w.begin = time.Now()
		ctx, stop := context.WithTimeout(context.Background(), 4*time.Hour-time.Minute)
		defer stop()
		New(Options{Ask: w.ask, AskUDP: w.ask, Info: &protocol.WatchdogInfo{IsAlive: 3600, SetRootPswd: 3600},
			Logger:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
			SetRootHash: func(context.Context, string) error { t.Error("a hash is set"); return nil }}).Run(ctx)
	})
	slices.Sort(w.lines)
	want := []string{"0 isalive", "0 rootpswd", "10800 isalive", "10800 rootpswd", "3600 isalive", "3600 rootpswd", "7200 isalive", "7200 rootpswd"}
	if !slices.Equal(w.lines, want) {
		t.Errorf("did %q, want %q", w.lines, want)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "duty=rootpswd") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
