package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"emujail/jailsetup/supervise"
)

func TestLetters(t *testing.T) {
	tests := []struct {
		name string
		args []string
		set  string
		rest []string
		err  string
	}{
		{"boss's own call", []string{"-jVt", "pcvm1-1"}, "Vjt", []string{"pcvm1-1"}, ""},
		{"apart", []string{"-j", "-k", "pcvm1-1"}, "jk", []string{"pcvm1-1"}, ""},
		{"after the argument", []string{"pcvm1-1", "-j"}, "j", []string{"pcvm1-1"}, ""},
		{"double dash ends options", []string{"-j", "--", "-k"}, "j", []string{"-k"}, ""},
		{"unknown", []string{"-jx"}, "", nil, "unknown option -x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, rest, err := letters(tt.args, "jVtk")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(slices.Sorted(maps.Keys(set))); got != tt.set || !slices.Equal(rest, tt.rest) {
				t.Errorf("letters = %q %q, want %q %q", got, rest, tt.set, tt.rest)
			}
		})
	}
}

func TestVnodeSetupRefusesByName(t *testing.T) {
	for args, want := range map[string]string{
		"-i pcvm1-1":     "-i: vnodes without a jail",
		"-p pcvm1-1":     "PlanetLab",
		"-js pcvm1-1":    "jailsetup enter",
		"-jbk pcvm1-1":   "usage: vnodesetup",
		"-jhr pcvm1-1":   "want one of -b, -r, -h, -k at most",
		"-j":             "usage: vnodesetup",
		"pcvm1-1":        "usage: vnodesetup",
		"-j ../etc":      "want 1 to 30 letters",
		"-jq pcvm1-1":    "unknown option -q",
		"-j pcvm1-1 two": "usage: vnodesetup",
	} {
		if err := vnodeSetup(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("vnodesetup %s: %v, want %q", args, err, want)
		}
	}
}

func TestBootVNodesRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-f pcvm1-1": `unexpected "pcvm1-1"`,
		"-fq":        "unknown option -q",
		"-f -h -k":   "want one of -b, -r, -h, -k at most",
	} {
		if err := bootVNodes(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "usage: bootvnodes") {
			t.Errorf("bootvnodes %s: %v, want %q and the usage", args, err, want)
		}
	}
}

func TestHostWideTasks(t *testing.T) {
	// Of pcvm1-3, which tmcd doesn't list, it doesn't say either that it is gone.
	here := []string{"pcvm1-1", "pcvm1-2", "pcvm1-3"}
	now := lists{wanted: []string{"pcvm1-2", "pcvm1-10"}, gone: []string{"pcvm1-1"}}
	tests := []struct {
		name string
		opts hostWide
		want string
	}{
		{"cold boot", hostWide{}, "boot pcvm1-2, boot pcvm1-10"},
		{"host goes down", hostWide{verb: supervise.VerbHalt}, "halt pcvm1-1, halt pcvm1-2, halt pcvm1-3"},
		{"kill", hostWide{verb: supervise.VerbKill}, "kill pcvm1-1, kill pcvm1-2, kill pcvm1-3"},
		{"reboot", hostWide{verb: supervise.VerbReboot}, "reboot pcvm1-1, reboot pcvm1-2, reboot pcvm1-3"},
		{"boot what is here", hostWide{verb: supervise.VerbBoot}, "boot pcvm1-1, boot pcvm1-2, boot pcvm1-3"},
		{"reconfig", hostWide{reconfig: true}, "kill pcvm1-1, reboot pcvm1-2, boot pcvm1-10"},
		{"reconfig, reboot", hostWide{reconfig: true, verb: supervise.VerbReboot}, "kill pcvm1-1, reboot pcvm1-2"},
		{"reconfig, halt", hostWide{reconfig: true, verb: supervise.VerbHalt}, "kill pcvm1-1, halt pcvm1-2"},
		{"reconfig, kill", hostWide{reconfig: true, verb: supervise.VerbKill}, "kill pcvm1-1, kill pcvm1-2"},
		{"reconfig, boot", hostWide{reconfig: true, verb: supervise.VerbBoot}, "kill pcvm1-1, boot pcvm1-2, boot pcvm1-10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var words []string
			for _, task := range tt.opts.tasks(here, now) {
				words = append(words, string(task.verb)+" "+task.vnode)
			}
			if got := strings.Join(words, ", "); got != tt.want {
				t.Errorf("tasks: %s\nwant:  %s", got, tt.want)
			}
		})
	}
}
