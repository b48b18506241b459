package hub

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/event/clockjump"
)

// A schedule runs by the experiment's time; groups reach all of theirs.
func TestSchedule(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	v1 := h.join("v1", demo, "cbr0", "cbr1")
	err := h.SetSchedule(demo, Schedule{
		Groups: map[string][]string{"all": {"cbr0", "cbr1"}},
		Events: []Item{{At: 2, Object: "cbr0", Action: "STOP"}, {At: 0, Object: "all", Action: "START", Args: "RATE=8"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.At(demo, Item{At: 1, Object: "cbr1", Action: "MODIFY"}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := h.Start(demo); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		object, action string
		at, before     time.Duration // before: the next one's time, if there is one
	}{
		{"*", "START", 0, time.Second}, {"cbr0", "START", 0, time.Second}, {"cbr1", "START", 0, time.Second},
		{"cbr1", "MODIFY", time.Second, 2 * time.Second}, {"cbr0", "STOP", 2 * time.Second, time.Hour},
	} {
		e := v1.hears()
		if e.Object != want.object || e.Action != want.action || (e.Type == event.Time) != (want.object == "*") {
			t.Errorf("%+v, want %+v", e, want)
		}
		if took := time.Since(began); took < want.at || took >= want.before {
			t.Errorf("%s %s after %v, want %v, before %v", want.object, want.action, took, want.at, want.before)
		}
	}
	// What is past is sent at once.
	if err := h.At(demo, Item{At: 0.05, Object: "cbr0", Action: "RESET"}); err != nil {
		t.Fatal(err)
	}
	if e := v1.hears(); e.Action != "RESET" {
		t.Errorf("%+v", e)
	}
	if _, err := h.Send(demo, "all", "STOP", ""); err != nil {
		t.Fatal(err)
	}
	if a, b := v1.hears(), v1.hears(); a.Object != "cbr0" || b.Object != "cbr1" {
		t.Errorf("%+v %+v", a, b)
	}
}

// What an object doesn't understand is refused with its place, and the schedule
// that there was stays.
func TestScheduleOfUnknownWords(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.open("v1", demo, key)
	v1 := h.join("v1", demo, "cbr0=TRAFGEN", "cbr1=TRAFGEN")
	start := Item{At: 0, Object: "cbr0", Action: "START"}
	if err := h.SetSchedule(demo, Schedule{Events: []Item{start}}); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]Item{
		"event 2: cbr1: action BEGIN":  {Object: "both", Action: "BEGIN"},
		"event 2: cbr0: argument RAET": {Object: "cbr0", Action: "START", Args: "RAET=1"},
	} {
		err := h.SetSchedule(demo, Schedule{Groups: map[string][]string{"both": {"cbr1"}}, Events: []Item{start, bad}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := h.Start(demo); err != nil {
		t.Fatal(err)
	}
	if a, b := v1.hears(), v1.hears(); a.Object != "*" || b.Object != "cbr0" || b.Action != "START" {
		t.Errorf("%+v %+v", a, b)
	}
}

func TestBadSchedules(t *testing.T) {
	h := newHost(t, t.TempDir())
	for name, s := range map[string]Schedule{
		"before time": {Events: []Item{{At: -1, Object: "a", Action: "START"}}},
		"no action":   {Events: []Item{{Object: "a"}}},
		"bad name":    {Events: []Item{{Object: "a/b", Action: "START"}}},
		"bad group":   {Groups: map[string][]string{"g": {"a b"}}},
		"too many":    {Events: make([]Item, maxItems+1)},
	} {
		if err := h.SetSchedule(demo, s); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := h.SetSchedule("x", Schedule{}); err == nil {
		t.Error("a schedule for no experiment: taken")
	}
	for name, err := range map[string]error{
		"start": h.Start(demo), "at": h.At(demo, Item{Object: "a", Action: "START"}),
	} {
		if !errors.Is(err, ErrExperiment) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The next supervisor's hub knows key, schedule and time, and sends what was
// due meanwhile once the agents have come back.
func TestTakeover(t *testing.T) {
	dir := t.TempDir()
	first := newHost(t, dir)
	first.open("v1", demo, key)
	v1 := first.join("v1", demo, "cbr0")
	if err := first.SetSchedule(demo, Schedule{Events: []Item{
		{At: 0, Object: "cbr0", Action: "START"}, {At: 300, Object: "cbr0", Action: "MODIFY"}, {At: 3600, Object: "cbr0", Action: "STOP"},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := first.Start(demo); err != nil {
		t.Fatal(err)
	}
	v1.hears()
	v1.hears()
	if err := first.Shutdown(); err != nil {
		t.Fatal(err)
	}
	const away = 310 * time.Second // the experiment's time goes on while nobody counts
	began(t, first.path(demo), -away)

	second := newHost(t, dir)
	second.open("v1", demo, "") // adopted: the key is the hub's to know
	v1 = second.join("v1", demo, "cbr0")
	if e := v1.hears(); e.Action != "MODIFY" {
		t.Errorf("%+v", e)
	}
	second.mu.Lock()
	left := time.Until(second.experiments[demo].due(2))
	second.mu.Unlock()
	if left > time.Hour-away || left < time.Hour-away-time.Minute {
		t.Errorf("STOP in %v", left)
	}
}

// began moves an experiment's beginning, as its file has it.
func began(t *testing.T, path string, by time.Duration) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	r.StartedNS += int64(by)
	if data, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that nobody could have written costs only its own experiment.
func TestBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	events := filepath.Join(dir, "events")
	if err := os.Mkdir(events, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"jails%2Fa.json": "{", "jails%2Fb.json": `{"experiment":"../../x"}`, "jails%2Fc.json": `{"experiment":"jails/c","schedule":[{"at":-1}]}`,
		"jails%2Fd.json": `{"experiment":"jails/d","next":7,"schedule":[{"at":1,"object":"a","action":"START"}],"boot_id":"another","started_ns":1}`,
	} {
		if err := os.WriteFile(filepath.Join(events, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, dir)
	if n := strings.Count(h.log.String(), "is lost"); n != 3 || len(h.experiments) != 1 {
		t.Errorf("%d lost, %d kept", n, len(h.experiments))
	}
	if x := h.experiments["jails/d"]; x.Next != 1 || !x.started.IsZero() {
		t.Errorf("%+v", x.record)
	}
}

// What holds a key goes with the last jail, what holds a plan with Forget.
func TestFiles(t *testing.T) {
	h := newHost(t, t.TempDir())
	file := filepath.Join(h.dir, "events", "jails%2Fdemo.json")
	h.open("v1", demo, key)
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	if err := h.Close("v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	h.open("v1", demo, key)
	if err := h.SetSchedule(demo, Schedule{Events: []Item{{Object: "a", Action: "START"}}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Forget(demo), h.Close("v1"), h.Close("v1")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the plan is gone with the jail: %v", err)
	}
	if err := errors.Join(h.Forget(demo), h.Forget(demo)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// The experiment's time is the monotonic clock's: a clock that is set while it
// runs brings nothing forward and holds nothing back.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			h := newHost(t, t.TempDir())
			h.open("v1", demo, key)
			v1 := h.join("v1", demo, "cbr0")
			if err := h.SetSchedule(demo, Schedule{Events: []Item{{At: 0, Object: "cbr0", Action: "START"}, {At: 60, Object: "cbr0", Action: "STOP"}}}); err != nil {
				t.Fatal(err)
			}
			if err := h.Start(demo); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"*", "cbr0"} {
				if e := v1.hears(); e.Object != want || e.Action != "START" {
					t.Errorf("%+v, want START of %s", e, want)
				}
			}
			h.mu.Lock()
			x := h.experiments[demo]
			x.started = clockjump.Behind(x.started, by)
			err := h.save(x)
			started := x.StartedNS
			h.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			if next := h.sendDue(time.Now()); next < 50*time.Second || next > 60*time.Second {
				t.Errorf("STOP is due in %v, want 60 s after START", next)
			}
			_, now, err := bootClock()
			if ago := now - time.Duration(started); err != nil || ago < 0 || ago > time.Minute {
				t.Errorf("the next supervisor believes that time began %v ago, %v", ago, err)
			}
		})
	}
}

// TestForgetOthers: what a supervisor that died has left of experiments without a
// jail is forgotten; a schedule that was set ahead of the first jail isn't.
func TestForgetOthers(t *testing.T) {
	dir := t.TempDir()
	first := newHost(t, dir)
	plan := Schedule{Events: []Item{{At: 60, Object: "cbr0", Action: "START"}}}
	for vnode, x := range map[string]string{"v1": demo, "v2": other} {
		first.open(vnode, x, key)
		if err := first.SetSchedule(x, plan); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.SetSchedule("jails/ahead", plan); err != nil {
		t.Fatal(err)
	}
	if err := first.Shutdown(); err != nil {
		t.Fatal(err)
	}
	second := newHost(t, dir)
	if err := second.ForgetOthers(func(x string) bool { return x == other }); err != nil {
		t.Fatal(err)
	}
	third := newHost(t, dir)
	for x, want := range map[string]bool{demo: false, other: true, "jails/ahead": true} {
		for which, h := range map[string]*host{"this": second, "the next": third} {
			if err := h.Start(x); (err == nil) != want {
				t.Errorf("%s: known to %s supervisor: %v, want %v", x, which, err == nil, want)
			}
		}
	}
}
