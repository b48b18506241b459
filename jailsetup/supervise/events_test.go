package supervise

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"emujail/jailsetup/hub"
	"emujail/jailsetup/jail"
)

// TestKillForgets: with a jail go what the supervisor counts for its vnode, and its
// experiment's schedule, if no other jail is of it.
func TestKillForgets(t *testing.T) {
	site := jail.Site{State: t.TempDir()}
	log := slog.New(slog.DiscardHandler)
	h, err := hub.New(site.EventsDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{host: &jail.Host{Site: site, Log: log}, log: log, hub: h, restarts: map[string]*restarts{}}
	vnodes := []string{"pcvm1-1", "pcvm1-2"}
	for _, v := range vnodes {
		if err := os.Mkdir(site.Dir(v), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := site.Save(jail.Record{VNode: v, Phase: jail.Down, Boot: 1, Project: "jails", Experiment: "demo"}); err != nil {
			t.Fatal(err)
		}
		if !s.restBefore(t.Context(), v) {
			t.Fatal("it mayn't boot")
		}
	}
	if err := h.SetSchedule("jails/demo", hub.Schedule{Events: []hub.Item{{Object: "cbr0", Action: "START"}}}); err != nil {
		t.Fatal(err)
	}
	for i, v := range vnodes {
		if err := s.kill(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		if s.restarts[v] != nil {
			t.Errorf("%s: the next one of that name owes for its reboots", v)
		}
		left, err := filepath.Glob(filepath.Join(site.EventsDir(), "*"))
		if others := len(vnodes) - 1 - i; err != nil || len(left) != min(1, others) {
			t.Errorf("with %d other jails there is %v (%v)", others, left, err)
		}
	}
}
