package proxy

import (
	"errors"
	"strings"
	"testing"

	"emujail/protocol"
)

// allowedForJails is written down a second time on purpose: a command doesn't
// become allowed by a slip in one table.
const allowedForJails = `
	nodeid nodeuuid manifest status ifconfig accounts hostnames rpms tarballs blobs startstatus startstat readycount
	storageconfig loadinfo routing trafgens creator state tunnels isalive jailconfig programs syncserver keyhash eventkey
	fullconfig rusage watchdoginfo hostkeys firewallinfo booterrno bootlog topomap userenv traceinfo ltmap ltpmap disks`

func TestPolicyHasARowForEachCommand(t *testing.T) {
	commands := protocol.Commands()
	if len(verdicts) != 107 || len(commands) != 107 {
		t.Fatalf("%d rows for %d commands, want 107", len(verdicts), len(commands))
	}
	for i, c := range commands {
		if verdicts[i].command != c.Name {
			t.Errorf("row %d is about %s, want %s", i+1, verdicts[i].command, c.Name)
		}
	}
}

func TestPolicyAllowsExactly(t *testing.T) {
	allowed := map[string]bool{}
	for _, c := range strings.Fields(allowedForJails) {
		allowed[c] = true
	}
	if len(allowed) != 39 {
		t.Errorf("%d commands in the list", len(allowed))
	}
	for _, c := range protocol.Commands() {
		t.Run(c.Name, func(t *testing.T) {
			r := request{command: c.Name, args: []byte("ISUP ")}
			if err := (Rules{}).check(r); (err == nil) != allowed[c.Name] {
				t.Errorf("allowed %v, want %v", err == nil, allowed[c.Name])
			}
		})
	}
}

func TestStatesThatAJailMayReport(t *testing.T) {
	for args, allowed := range map[string]bool{
		"ISUP": true, "ISUP ": true, "TBFAILED ": true, " \tISUP": true, "ISUP\n": true, "ISUP SHUTDOWN": true,
		"": false, " ": false, "SHUTDOWN": false, "BOOTING": false, "isup": false, "ISUP\x00": false,
		"SHUTDOWN ISUP": false, "ISUPX": false, "\x00ISUP": false, "RELOADDONE": false, "TBSETUP": false,
	} {
		if err := (Rules{}).check(request{command: "state", args: []byte(args)}); (err == nil) != allowed {
			t.Errorf("state %q: %v", args, err)
		}
	}
}

func TestRules(t *testing.T) {
	rules, err := ParseRules([]string{"# for the watchdog", "", "allow rootpswd", "deny hostkeys", "  deny  vnodelist ", "allow vnodelist"})
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]error{
		"rootpswd": nil, "hostkeys": errDenied, "vnodelist": errDenied, "status": nil, "role": errPolicy,
	} {
		if err := rules.check(request{command: command}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", command, err, want)
		}
	}
	for _, bad := range []string{"allow", "permit status", "allow status now", "allow statu", "allow statusX", "deny STATUS"} {
		if _, err := ParseRules([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
