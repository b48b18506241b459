package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// TestWrites: what each command does to the database (docs/spec/protocol.md
// §7), and what is handed on as a report.
func TestWrites(t *testing.T) {
	const vnode = "VNODEID=pcvm1-1 VERSION=40 "
	for _, tc := range []struct {
		name, request       string
		table, column, want string // of the row of node
		node                string
		report              string
		reply               string
	}{
		{"accounts lowers the counter", "VERSION=40 accounts ", "nodes", "update_accounts", "1", "pc1", "", "*"},
		{"so does fullconfig", vnode + "fullconfig ", "nodes", "update_accounts", "0", "pcvm1-1", "", "*"},
		{"startstatus", vnode + "startstatus 3 ", "nodes", "startstatus", "3", "pcvm1-1", "3 ", ""},
		{"startstatus with junk", vnode + "startstatus 7xyz ", "nodes", "startstatus", "7", "pcvm1-1", "7xyz ", ""},
		{"startstatus of text", vnode + "startstatus abc ", "nodes", "startstatus", "", "pcvm1-1", "", ""},
		{"startstatus of nothing", vnode + "startstatus ", "nodes", "startstatus", "", "pcvm1-1", "", ""},
		{"startstat", vnode + "startstat -1 ", "nodes", "startstatus", "-1", "pcvm1-1", "-1 ", ""},
		{"ready", "VERSION=40 ready ", "nodes", "ready", "1", "pc1", "", ""},
		{"ready of a vnode", vnode + "ready ", "nodes", "ready", "0", "pcvm1-1", "", ""},
		{"isalive", vnode + "isalive ", "node_status", "status", "up", "pcvm1-1", "", "UPDATE=1\n"},
		{"rusage", vnode + "rusage LA1=0.10 LA5=0.20 LA15=0.30 DUSED=45.5 ", "node_rusage", "disk_used", "45.5", "pcvm1-1", "LA1=0.10 LA5=0.20 LA15=0.30 DUSED=45.5 ", "UPDATE=1\n"},
		{"half a rusage", vnode + "rusage LA1=0.10 ", "node_rusage", "disk_used", "", "pcvm1-1", "", ""},
		{"ipodinfo", "VERSION=40 ipodinfo ", "nodes", "ipodhash", strings.Repeat("0", 32), "pc1", "", "*"},
		{"ntpdrift", "VERSION=40 ntpdrift 12.5 ", "nodes", "ntpdrift", "12.5", "pc1", "12.5 ", ""},
		{"ntpdrift of text", "VERSION=40 ntpdrift abc ", "nodes", "ntpdrift", "", "pc1", "", ""},
		{"hostkeys", vnode + "hostkeys SSH_HOST_RSA_KEY='k 1' ", "node_hostkeys", "sshrsa_v2", "k 1", "pcvm1-1", "SSH_HOST_RSA_KEY='k 1' ", ""},
		{"hostkeys of another kind", vnode + "hostkeys FOO='x' ", "node_hostkeys", "sshrsa_v2", "", "pcvm1-1", "", ""},
		{"hostkeys without an end", vnode + "hostkeys SSH_HOST_RSA_KEY='k", "node_hostkeys", "sshrsa_v2", "", "pcvm1-1", "", ""},
		{"hostinfo", vnode + "hostinfo CDVERSION=1.2-b ", "nodes", "cd_version", "1", "pcvm1-1", "CDVERSION=1.2-b ", ""},
		{"booterrno", vnode + "booterrno 5 ", "nodes", "boot_errno", "5", "pcvm1-1", "5 ", ""},
		{"bootlog", vnode + "bootlog   a 'b'\nVNODEID=x ", "node_bootlogs", "bootlog", "a 'b'\nVNODEID=x ", "pcvm1-1", "a 'b'\nVNODEID=x ", ""},
		{"blank bootlog", vnode + "bootlog  \n ", "node_bootlogs", "bootlog", "", "pcvm1-1", "", ""},
		{"battery", vnode + "battery CAPACITY=50 VOLTAGE=12.5 ", "nodes", "battery_voltage", "12.5", "pcvm1-1", "CAPACITY=50 VOLTAGE=12.5 ", "OK\n"},
		{"battery that can't be", vnode + "battery CAPACITY=50 VOLTAGE=4.9 ", "nodes", "battery_voltage", "", "pcvm1-1", "", ""},
		{"portregister", vnode + "portregister svc 4321 ", "port_registration", "port", "4321", "pcvm1-1", "svc 4321 ", ""},
		{"rootpswd of a host", "VERSION=40 rootpswd ", "node_attributes", "attrvalue", "000000000000", "pc1", "", "*"},
		{"elvindport goes to the host", vnode + "elvindport 2918 ", "node_attributes", "attrvalue", "2918", "pc1", "2918 ", ""},
		{"elvindport below 0", vnode + "elvindport -1 ", "node_attributes", "attrvalue", "4294967295", "pc1", "-1 ", ""},
		{"booterrno of many bits", vnode + "booterrno 99999999999999999999 ", "nodes", "boot_errno", "-1", "pcvm1-1", "99999999999999999999 ", ""},
		{"tiplineinfo", vnode + "tiplineinfo host: pc1\nport: 4501\nkeylen: 4\nkey: abcd\n", "tiplines", "keydata", "abcd", "pcvm1-1", "host: pc1\nport: 4501\nkeylen: 4\nkey: abcd\n", ""},
		{"state", vnode + "state ISUP extra ", "nodes", "eventstate", "ISUP", "pcvm1-1", "ISUP", ""},
		{"state that is no name", vnode + "state BAD;NAME ", "nodes", "eventstate", "ISUP", "pcvm1-1", "", ""},
		{"sfshostid", vnode + "sfshostid somehost:abcdef ", "node_hostkeys", "sfshostid", "", "pcvm1-1", "somehost:abcdef ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := recordedBed(t)
			res := ask(t, tb, "127.0.0.1", answer.TCP, tc.request)
			if tc.reply != "*" && string(res.Reply) != tc.reply {
				t.Errorf("reply %q, want %q", res.Reply, tc.reply)
			}
			tb.Read(func(db *testbed.DB) {
				got := ""
				for r := range db.Where(tc.table, "node_id", tc.node) {
					got = r.Text(tc.column) // the last, as of attributes there are several
				}
				if got != tc.want {
					t.Errorf("%s.%s of %s is %q, want %q", tc.table, tc.column, tc.node, got, tc.want)
				}
			})
			report := ""
			for _, r := range res.Reports {
				report += r.Text
			}
			if report != tc.report {
				t.Errorf("report %q, want %q", report, tc.report)
			}
		})
	}
}
