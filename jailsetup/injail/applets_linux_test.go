package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseLeave(t *testing.T) {
	tests := []struct {
		args string
		want request
		fail string
	}{
		{"", request{order: sigReboot}, ""},
		{"-f", request{order: sigReboot, force: true}, ""},
		{"--force -p", request{order: sigPowerOff, force: true}, ""},
		{"-d -n --no-wall", request{order: sigReboot}, ""},
		{"--halt", request{order: sigHalt}, ""},
		{"--help", request{}, "help"},
		{"-x", request{}, `unknown option "-x"`},
		{"now", request{}, `unknown option "now"`},
		{"-w", request{}, "not supported"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := parseLeave(request{order: sigReboot}, strings.Fields(tt.args))
			checkRequest(t, got, err, tt.want, tt.fail)
		})
	}
}

func checkRequest(t *testing.T, got request, err error, want request, fail string) {
	t.Helper()
	if fail != "" {
		if err == nil || !strings.Contains(err.Error(), fail) {
			t.Errorf("error %v, want %q", err, fail)
		}
		return
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParseShutdown(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 30, 15, 0, time.UTC)
	tests := []struct {
		args string
		want request
		fail string
	}{
		{"now", request{word: "shutdown", order: sigPowerOff}, ""},
		{"-r now", request{word: "shutdown", order: sigReboot}, ""},
		{"-h now bye all", request{word: "shutdown", order: sigPowerOff}, ""},
		{"-H +0", request{word: "shutdown", order: sigHalt}, ""},
		{"", request{word: "shutdown", order: sigPowerOff, after: time.Minute}, ""},
		{"-r +5", request{word: "shutdown", order: sigReboot, after: 5 * time.Minute}, ""},
		{"12:31", request{word: "shutdown", order: sigPowerOff, after: 45 * time.Second}, ""},
		{"12:30", request{word: "shutdown", order: sigPowerOff, after: 24*time.Hour - 15*time.Second}, ""},
		{"25:00", request{}, "want now"},
		{"+99999999", request{}, "want now"},
		{"-c", request{}, "interrupting"},
		{"-k now", request{}, "warn"},
		{"--help", request{}, "help"},
		{"-q", request{}, "unknown option"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := parseShutdown(strings.Fields(tt.args), now)
			checkRequest(t, got, err, tt.want, tt.fail)
		})
	}
}

func TestAppletNames(t *testing.T) {
	for _, name := range []string{"reboot", "halt", "poweroff", "shutdown"} {
		a, ok := appletNamed(name)
		if !ok {
			t.Errorf("%s isn't known", name)
			continue
		}
		if code := a([]string{"--no-such"}); code != exitUsage {
			t.Errorf("%s --no-such: exit %d, want %d", name, code, exitUsage)
		}
	}
	if _, ok := appletNamed("injail"); ok {
		t.Error("injail is taken for an applet")
	}
}

func TestOrders(t *testing.T) {
	if e := orderOf(sigReboot); e.how == 0 || e.code != 129 {
		t.Errorf("reboot: %+v", e)
	}
	if orderOf(sigHalt).how == orderOf(sigPowerOff).how {
		t.Error("halt and power-off are the same")
	}
}
