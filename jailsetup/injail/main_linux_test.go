package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestRunOutsideAJail(t *testing.T) {
	tests := []struct {
		args string
		want int
	}{
		{"injail -h", exitOK},
		{"injail", exitUsage}, // this test isn't PID 1
		{"injail /bin/sh", exitUsage},
		{"injail logrotate", exitOK},
		{"injail rc boot", exitFailed}, // no injail-rc beside the test
		{"/usr/local/sbin/reboot --help", exitOK},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			if got := run(strings.Fields(tt.args)); got != tt.want {
				t.Errorf("exit %d, want %d", got, tt.want)
			}
		})
	}
}

func TestParseInit(t *testing.T) {
	tests := []struct{ args, vnode, command string }{
		{"", "", ""},
		{"-v pcvm1-1", "pcvm1-1", ""},
		{"-v pcvm1-1 sh -c x", "pcvm1-1", "sh -c x"},
		{"-- -v x", "", "-v x"},
		{"true", "", "true"},
	}
	for _, tt := range tests {
		vnode, command := parseInit(strings.Fields(tt.args))
		if vnode != tt.vnode || strings.Join(command, " ") != tt.command {
			t.Errorf("%q: %q, %q", tt.args, vnode, command)
		}
	}
}

func TestSurvivorsAreNamed(t *testing.T) {
	names := survivors("/proc")
	if len(names) == 0 || len(names) > maxNamed+1 || !strings.Contains(names[0], "(") {
		t.Errorf("survivors: %q", names)
	}
	if got := survivors("/no/proc"); len(got) != 1 || !strings.Contains(got[0], "/no/proc") {
		t.Errorf("without /proc: %q", got)
	}
	if got := printable("a\x1b[2J\n"); got != `a\x1b[2J\n` {
		t.Errorf("printable: %s", got)
	}
}

// TestLinksLittle: injail is executed twice on a jail's way up and stays in its
// memory. What isn't needed there belongs into injail-rc.
func TestLinksLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		switch pkg {
		case "net", "net/http", "crypto/tls", "log/slog", "os/exec", "regexp", "emujail/protocol",
			"emujail/jailsetup/injail/steps", "emujail/jailsetup/injail/agents":
			t.Errorf("injail links %s", pkg)
		}
	}
}
