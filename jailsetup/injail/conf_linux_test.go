package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseSettings(t *testing.T) {
	tests := []struct {
		name, text string
		want       settings
	}{
		{"nothing", "", settings{Grace: time.Second}},
		{"all", "VNODEID=\"pcvm1-1\"\nHOSTNAME='a.e.p.d'\nNICKNAME=a\nPID=\"p\"\nEID=\"e\"\nJAILIP=\"10.0.0.1\"\nSSHDADDRS=\"10.0.0.1 10.1.1.2\"\nBOOTSERIAL=\"12\"\nGRACE=\"2.5\"\nOTHER=\"x\"\n",
			settings{"pcvm1-1", "a.e.p.d", "p", "e", "10.0.0.1", "10.0.0.1 10.1.1.2", 12, 2500 * time.Millisecond}},
		{"quotes inside", `HOSTNAME="a\"b\\c\$d\x"`, settings{Hostname: `a"b\c$d\x`, Grace: time.Second}},
		{"half a quote", `HOSTNAME="a`, settings{Hostname: `"a`, Grace: time.Second}},
		{"the last one counts", "PID=a\nPID=b\n", settings{PID: "b", Grace: time.Second}},
		{"comments and blanks", "# PID=a\n\n  EID=e\n", settings{EID: "e", Grace: time.Second}},
		{"no number", "BOOTSERIAL=x\nGRACE=x\n", settings{Grace: time.Second}},
		{"no grace", "GRACE=0", settings{Grace: 0}},
		{"negative grace", "GRACE=-1", settings{Grace: time.Second}},
		{"endless grace", "GRACE=1e30", settings{Grace: time.Minute}},
		{"infinite grace", "GRACE=Inf", settings{Grace: time.Minute}},
		{"grace that is no number", "GRACE=NaN", settings{Grace: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseSettings(tt.text); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestReadSettingsWithoutFile(t *testing.T) {
	s, err := readSettings(filepath.Join(t.TempDir(), "none"), "pcvm1-1")
	if !os.IsNotExist(err) || s.VNode != "pcvm1-1" || s.Grace != graceDefault {
		t.Errorf("readSettings = %+v, %v; want the defaults and the reason", s, err)
	}
}
