package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
)

// accountsBed has users of every sort in two groups of one project and two of
// the operators', and nodes of every sort.
const accountsBed = `
projects:
  emulab-ops: {gid: 6000, head: root1}
  p: {gid: 6001, head: lea}
  q: {gid: 6003, head: lea, nonlocal: "urn:p"}
groups:
  p/sub: {gid: 6002}
  emulab-ops/web: {gid: 6009}
users:
  lea: {uid: 101, password: "$1$leasaltx$hash", groups: {p: project_root, q: project_root}, keys: [K1, K2]}
  max: {uid: 102, password: "$1$maxsaltx$hash", groups: {p: user, p/sub: local_root, q: user}, remote_jail_root: true}
  root1: {uid: 103, admin: true, web_only: true, groups: {emulab-ops: project_root, emulab-ops/web: user, p/sub: user}}
  elabman: {uid: 104, groups: {emulab-ops: local_root, emulab-ops/web: user}}
types:
  pc: {class: pc}
  pctype: {class: pc, attributes: {project_accounts: "3,4"}}
  pcwa: {class: pcwa, remote: true}
  pcded: {class: pcwa, remote: true, attributes: {dedicated_widearea: "1"}}
  pcvm: {class: pcvm, virtual: true, jailed: true}
experiments:
  p/e: {creator: lea}
  p/s: {group: sub, creator: lea}
  q/g: {creator: lea, mounts: genidefault}
  q/h: {creator: lea, mounts: emulabdefault}
hosts:
  one: {ip: 127.0.0.1, experiment: p/e}
  sub: {ip: 127.0.0.2, experiment: p/s}
  share: {ip: 127.0.0.3, experiment: p/e, sharing: shared_local}
  black: {ip: 127.0.0.4, experiment: p/e, taint: blackbox}
  typed: {ip: 127.0.0.5, experiment: p/e, type: pctype}
  far: {ip: 127.0.0.6, experiment: p/s, remote: true, type: pcwa}
  ded: {ip: 127.0.0.7, experiment: p/e, remote: true, type: pcded}
  ctl: {ip: 127.0.0.8, experiment: p/e, control: true}
  geni: {ip: 127.0.0.9, experiment: q/g}
  local: {ip: 127.0.0.10, experiment: q/h}
vnodes:
  far-1: {host: far, experiment: p/e, jailed: false}
rows:
  reserved:
    - {node_id: geni, genisliver_idx: 5}
    - {node_id: local, genisliver_idx: 6}
  nonlocal_user_accounts:
    - {uid: aaa, uid_idx: 7, unix_uid: 7, name: A, email: a@x, exptidx: 102, updated: "2016-06-01 00:00:00"}
  nonlocal_user_pubkeys:
    - {uid: aaa, uid_idx: 7, idx: 1, pubkey: AK}
`

// TestAccounts: who gets which accounts, and with what (docs/spec/protocol.md §6).
func TestAccounts(t *testing.T) {
	const ops = "ADDGROUP NAME=emulab-ops GID=6000\nADDGROUP NAME=web GID=6009\n"
	for _, tc := range []struct{ name, src, request, want string }{
		{"an experiment of the project", "127.0.0.1", "VERSION=3 accounts ",
			"ADDGROUP NAME=p GID=6001\nADDGROUP NAME=sub GID=6002\n" +
				"ADDUSER LOGIN=lea PSWD=$1$leasaltx$hash UID=101 GID=6001 ROOT=1 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\n" +
				"ADDUSER LOGIN=max PSWD=$1$maxsaltx$hash UID=102 GID=6001 ROOT=0 NAME=\"max\" HOMEDIR=/users/max GLIST=6002\n"},
		{"a subgroup has its members, in all groups", "127.0.0.2", "VERSION=3 accounts ",
			"ADDGROUP NAME=p GID=6001\nADDGROUP NAME=sub GID=6002\n" +
				"ADDUSER LOGIN=max PSWD=$1$maxsaltx$hash UID=102 GID=6002 ROOT=1 NAME=\"max\" HOMEDIR=/users/max GLIST=6001\n"},
		{"a shared host of another project has operators", "127.0.0.3", "VERSION=3 accounts ", ops +
			"ADDUSER LOGIN=elabman PSWD=* UID=104 GID=6009 ROOT=0 NAME=\"elabman\" HOMEDIR=/users/elabman GLIST=6000\n" +
			"ADDUSER LOGIN=root1 PSWD=* UID=103 GID=6009 ROOT=1 NAME=\"root1\" HOMEDIR=/users/root1 GLIST=6000\n"},
		{"so has a black box", "127.0.0.4", "VERSION=3 accounts windows ", ops +
			"ADDUSER LOGIN=elabman PSWD=* UID=104 GID=6009 ROOT=0 NAME=\"elabman\" HOMEDIR=/users/elabman GLIST=6000\n" +
			"ADDUSER LOGIN=root1 PSWD=* UID=103 GID=6009 ROOT=1 NAME=\"root1\" HOMEDIR=/users/root1 GLIST=6000\n"},
		{"a local star stays bare in version 5", "127.0.0.4", "VERSION=5 accounts ", ops +
			"ADDUSER LOGIN=elabman PSWD=* UID=104 GID=6009 ROOT=0 NAME=\"elabman\" HOMEDIR=/users/elabman GLIST=\"6000\" SERIAL=1464739200\n" +
			"ADDUSER LOGIN=root1 PSWD=* UID=103 GID=6009 ROOT=1 NAME=\"root1\" HOMEDIR=/users/root1 GLIST=\"6000\" SERIAL=1464739200\n"},
		{"a type names groups", "127.0.0.5", "VERSION=3 accounts ",
			ops + "ADDGROUP NAME=sub GID=6002\nADDGROUP NAME=q GID=6003\n" +
				"ADDUSER LOGIN=lea PSWD=* UID=101 GID=6003 ROOT=0 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\n" +
				"ADDUSER LOGIN=max PSWD=* UID=102 GID=6003 ROOT=0 NAME=\"max\" HOMEDIR=/users/max GLIST=6002\n"},
		{"a remote node without a welcome", "127.0.0.6", "VERSION=3 accounts ", ""},
		{"a vnode there, before version 5", "127.0.0.6", "VNODEID=far-1 VERSION=4 accounts ",
			"ADDGROUP NAME=p GID=6001\nADDGROUP NAME=sub GID=6002\n" +
				"ADDUSER LOGIN=lea PSWD=$1$leasaltx$hash UID=101 GID=6001 ROOT=0 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\"\" EMULABPUBKEY=\"\" HOMEPUBKEY=\"\"\n" +
				"ADDUSER LOGIN=max PSWD=$1$maxsaltx$hash UID=102 GID=6001 ROOT=1 NAME=\"max\" HOMEDIR=/users/max GLIST=\"6002\" EMULABPUBKEY=\"\" HOMEPUBKEY=\"\"\n"},
		{"a remote node of one experiment", "127.0.0.7", "VERSION=3 accounts windows ",
			"ADDGROUP NAME=p GID=6001\nADDGROUP NAME=sub GID=6002\n" +
				"ADDUSER LOGIN=lea PSWD=* UID=101 GID=6001 ROOT=1 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\n" +
				"ADDUSER LOGIN=max PSWD=* UID=102 GID=6001 ROOT=0 NAME=\"max\" HOMEDIR=/users/max GLIST=6002\n"},
		{"a slice has its leader and its own users", "127.0.0.9", "VERSION=9 accounts ",
			"ADDGROUP NAME=q GID=6003\n" +
				"ADDUSER LOGIN=lea PSWD=$1$leasaltx$hash UID=101 GID=6003 ROOT=1 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\"\" SERIAL=1464739200 EMAIL=\"lea@example.emulab.net\"\n" +
				"PUBKEY LOGIN=lea KEY=\"K1\"\nPUBKEY LOGIN=lea KEY=\"K2\"\n" +
				"ADDUSER LOGIN=aaa PSWD=* UID=20007 GID=6003 ROOT=1 NAME=\"A\" HOMEDIR=/users/aaa GLIST=\"\" SERIAL=1464739200 EMAIL=\"a@x\"\n" +
				"PUBKEY LOGIN=aaa KEY=\"AK\"\n"},
		{"a slice with the testbed's own mounts", "127.0.0.10", "VERSION=3 accounts ",
			"ADDGROUP NAME=q GID=6003\n" +
				"ADDUSER LOGIN=lea PSWD=$1$leasaltx$hash UID=101 GID=6003 ROOT=1 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(ask(t, smallBed(t, accountsBed), tc.src, answer.TLS, tc.request).Reply); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// TestAccountsVisitors: a remote node is open to the groups that it names, else
// to projects that may use its kind, and has guests of its own.
func TestAccountsVisitors(t *testing.T) {
	const all = "ADDGROUP NAME=p GID=6001\nADDGROUP NAME=sub GID=6002\n" +
		"ADDUSER LOGIN=lea PSWD=* UID=101 GID=6001 ROOT=0 NAME=\"lea\" HOMEDIR=/users/lea GLIST=\n" +
		"ADDUSER LOGIN=max PSWD=* UID=102 GID=6002 ROOT=0 NAME=\"max\" HOMEDIR=/users/max GLIST=6001\n"
	const sub = "ADDGROUP NAME=sub GID=6002\n" +
		"ADDUSER LOGIN=max PSWD=* UID=102 GID=6002 ROOT=0 NAME=\"max\" HOMEDIR=/users/max GLIST=\n"
	const guest = "ADDUSER LOGIN=root1 PSWD=* UID=103 GID=31 ROOT=1 NAME=\"root1\" HOMEDIR=/users/root1 GLIST=\n"
	const guests = "  widearea_accounts:\n    - {node_id: far, uid: root1, uid_idx: 103, trust: user}\n    - {node_id: far, uid: max, uid_idx: 102, trust: none}\n"
	for name, tc := range map[string]struct{ rows, want string }{
		"kind":   {"  projects: [{pid: p, pcremote_ok: \"pcron,pcwa\"}]\n", all},
		"groups": {"  node_attributes: [{node_id: far, attrkey: dp_projects, attrvalue: \"9,4\"}]\n", sub},
		"guests": {"  projects: [{pid: p, pcremote_ok: pcwa}]\n" + guests, all + guest},
	} {
		tb := smallBed(t, accountsBed+tc.rows)
		if got := string(ask(t, tb, "127.0.0.6", answer.TLS, "VERSION=3 accounts ").Reply); got != tc.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, tc.want)
		}
	}
}

// TestAccountsOneDigit: what stands before the group without a gid is sent, and
// the update is not done.
func TestAccountsOneDigit(t *testing.T) {
	tb := smallBed(t, accountsBed+"  groups: [{pid: p, gid: sub, unix_gid: 5}]\n  nodes: [{node_id: one, update_accounts: 1}]\n")
	res := ask(t, tb, "127.0.0.1", answer.TLS, "VERSION=40 accounts ")
	if got := string(res.Reply); got != "ADDGROUP NAME=p GID=6001\n" || len(res.Changes) > 0 {
		t.Errorf("%q, %d changes", got, len(res.Changes))
	}
}

// TestAccountsControl: a control node gets groups only; they count as an update.
func TestAccountsControl(t *testing.T) {
	tb := smallBed(t, accountsBed+"  nodes: [{node_id: ctl, update_accounts: 1}]\n")
	res := ask(t, tb, "127.0.0.8", answer.TLS, "VERSION=40 accounts ")
	if got := string(res.Reply); strings.Count(got, "ADDGROUP") != 5 || strings.Contains(got, "ADDUSER") || len(res.Changes) != 1 {
		t.Errorf("%q, %d changes", got, len(res.Changes))
	}
}

// TestAccountsByIndex: users are told apart by number, since a name may have
// been another's before.
func TestAccountsByIndex(t *testing.T) {
	tb := smallBed(t, accountsBed+"tables:\n  users:\n"+
		"    - {uid: max, uid_idx: 9, unix_uid: 9, status: archived, webonly: 0}\n"+
		"    - {uid: max, uid_idx: 102, unix_uid: 102, status: active, webonly: 0, admin: 0, usr_pswd: x, usr_name: Max}\n"+
		"  user_pubkeys:\n    - {uid: max, uid_idx: 9, idx: 1, pubkey: old}\n    - {uid: max, uid_idx: 102, idx: 1, pubkey: new}\n")
	want := "ADDUSER LOGIN=max PSWD=x UID=102 GID=6001 ROOT=0 NAME=\"Max\" HOMEDIR=/users/max GLIST=\"6002\" SERIAL=\n" +
		"PUBKEY LOGIN=max KEY=\"new\"\n"
	if got := string(ask(t, tb, "127.0.0.1", answer.TLS, "VERSION=6 accounts pubkeys ").Reply); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
	if got := string(ask(t, tb, "127.0.0.1", answer.TLS, "VERSION=32 mounts ").Reply); !strings.HasSuffix(got, "LOCAL=/share\nREMOTE=fs.example.emulab.net:/users/max LOCAL=/users/max\n") {
		t.Errorf("mounts: %s", got)
	}
}
