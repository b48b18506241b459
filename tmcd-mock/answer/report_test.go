package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// TestReportArguments: what the original's scanning takes for an argument, and
// what it leaves.
func TestReportArguments(t *testing.T) {
	for _, tc := range []struct{ request, table, column, want, reply string }{
		{"rusage LA1=0.5LA5= 0.25\tLA15=1e1 DUSED=7junk ", "node_rusage", "disk_used", "7", "UPDATE=3\n"},
		{"rusage LA1=0.5LA5= 0.25\tLA15=1e1 DUSED=7junk ", "node_rusage", "load_5min", "0.25", "UPDATE=3\n"},
		{"rusage  LA1=1 LA5=1 LA15=1 DUSED=1 ", "node_rusage", "disk_used", "", ""},
		{"rusage LA1=1 LA5=1 LA15=x DUSED=1 ", "node_rusage", "disk_used", "", ""},
		{"rusage LA1=nan LA5=1 LA15=inf DUSED=1 ", "node_rusage", "load_1min", "0", "UPDATE=3\n"},
		{"rusage LA1=nan LA5=1 LA15=inf DUSED=1 ", "node_rusage", "load_15min", "0", "UPDATE=3\n"},
		{"startstatus 4294967303 ", "nodes", "startstatus", "7", ""},
		{"hostinfo CDVERSION=a-1_2 ", "nodes", "cd_version", "a-1", ""},
		{"hostinfo CDVERSION=_2 ", "nodes", "cd_version", "old", ""},
		{"hostinfo  CDVERSION=a ", "nodes", "cd_version", "old", ""},
		{"hostinfo a ", "nodes", "cd_version", "old", ""},
		{"hostinfo CDVERSION=0123456789012345678901234567890123 ", "nodes", "cd_version", "0123456789012345678901234567890", ""},
		{"hostkeys ", "node_hostkeys", "sshrsa_v2", "", ""},
		{"hostkeys ssh_host_rsa_key='k'SSH_HOST_DSA_KEY='d'", "node_hostkeys", "sshrsa_v2", "k", ""},
		{"hostkeys SSH_HOST_RSA_KEY='k'\n", "node_hostkeys", "sshrsa_v2", "old", ""},
		{"hostkeys SSH_HOST_DSA_KEY='k' ", "node_hostkeys", "sshrsa_v2", "", ""},
	} {
		tb := configBed(t, "  nodes: [{node_id: pc1, update_accounts: 3, cd_version: old}]\n  node_hostkeys: [{node_id: pc1, sshrsa_v2: old}]\n")
		if got := string(ask(t, tb, "10.0.0.1", answer.TCP, "VERSION=40 "+tc.request).Reply); got != tc.reply {
			t.Errorf("%q: reply %q", tc.request, got)
		}
		tb.Read(func(db *testbed.DB) {
			if got := db.First(tc.table, "node_id", "pc1").Text(tc.column); got != tc.want {
				t.Errorf("%q: %s is %q, want %q", tc.request, tc.column, got, tc.want)
			}
		})
	}
}

// TestSliceIsAlive: what a slice reports of its usage says that it and its host
// are up.
func TestSliceIsAlive(t *testing.T) {
	for kind, want := range map[string]string{"0": "", "1": "up"} {
		tb := configBed(t, "  node_types: [{type: plabslice, isplabdslice: "+kind+"}]\n")
		ask(t, tb, "10.9.0.1", answer.UDP, "VNODEID=slice VERSION=40 rusage LA1=1 LA5=1 LA15=1 DUSED=1 ")
		tb.Read(func(db *testbed.DB) {
			for _, id := range []string{"slice", "far"} {
				if got := db.First("node_status", "node_id", id).Text("status"); got != want {
					t.Errorf("isplabdslice %s: %s is %q", kind, id, got)
				}
			}
		})
	}
}

// TestSecuredState: a state that is told with a quote of the TPM, in the node's
// mode, is taken in no other way.
func TestSecuredState(t *testing.T) {
	for request, want := range map[string]int{"VNODEID=v1 state ISUP ": 0, "VNODEID=v1 state TBSETUP ": 1, "VNODEID=v2 state ISUP ": 1} {
		if res := ask(t, bedOfRows(t, small), "10.0.0.1", answer.TCP, request); len(res.Reply) > 0 || len(res.Reports) != want {
			t.Errorf("%s: reply %q, %d reports, want %d", request, res.Reply, len(res.Reports), want)
		}
	}
}

// TestIsAliveBelowNothing: any counter but 0 asks for an update.
func TestIsAliveBelowNothing(t *testing.T) {
	tb := alter(bedOfRows(t, small), "nodes", "node_id", "pc1", columns{"update_accounts": int64(-1)})
	if res := ask(t, tb, "10.0.0.1", answer.TCP, "isalive "); string(res.Reply) != "UPDATE=1\n" {
		t.Errorf("reply %q", res.Reply)
	}
}
