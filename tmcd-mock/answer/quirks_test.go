package answer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// TestQuirkNoSpaceAfterCommand: the original's child dies without the space.
func TestQuirkNoSpaceAfterCommand(t *testing.T) {
	for _, c := range protocol.Commands() {
		tb := recordedBed(t)
		with := ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-2 VERSION=40 "+c.Name+" ")
		tb = recordedBed(t)
		without := ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-2 VERSION=40 "+c.Name)
		if string(with.Reply) != string(without.Reply) {
			t.Errorf("%s: %q with a space, %q without", c.Name, with.Reply, without.Reply)
		}
	}
}

// TestQuirkTagsOnly, TestQuirkEmptyToken, TestQuirkStaleTag: nothing is
// matched with the memory of an earlier request.
func TestQuirkTagsOnly(t *testing.T) {
	silent(t, "VERSION=40", "VERSION=40 ", "VNODEID=pcvm1-1 VERSION=40 ")
}
func TestQuirkEmptyToken(t *testing.T) { silent(t, " status ", "VERSION=40  status ", "") }
func TestQuirkStaleTag(t *testing.T) {
	tb := recordedBed(t)
	ask(t, tb, "127.0.0.1", answer.TCP, "PRIVKEY=0123456789abcdef0123456789abcdef VERSION=40 status ")
	silent(t, "PRIVKEY= VERSION=40 status ", "P VERSION=40 status ", "VNODE status ", "VNODEID= status ", "VERSION= status ")
}

func silent(t *testing.T, requests ...string) {
	t.Helper()
	tb := recordedBed(t)
	for _, request := range requests {
		if res := ask(t, tb, "127.0.0.1", answer.TCP, request); len(res.Reply) > 0 || res.Why == "" {
			t.Errorf("%q: reply %q, why %q", request, res.Reply, res.Why)
		}
	}
}

// TestQuirkFreeNode: every request of a free node crashes the original.
func TestQuirkFreeNode(t *testing.T) {
	if got := ask(t, recordedBed(t), "127.0.0.2", answer.TCP, "VERSION=40 status ").Reply; string(got) != "FREE\n" {
		t.Errorf("status %q", got)
	}
}

// TestQuirkImageSizeUnknown: uses a result that was freed.
func TestQuirkImageSizeUnknown(t *testing.T) {
	for _, arg := range []string{"", "emulab-ops/NOPE", "NOPE", "/", ":"} {
		if res := ask(t, recordedBed(t), "127.0.0.1", answer.TCP, "VERSION=40 imagesize "+arg+" "); len(res.Reply) > 0 {
			t.Errorf("imagesize %s: %q", arg, res.Reply)
		}
	}
}

// TestQuirkServiceOpts: any row of virt_client_service_opts crashes manifest.
func TestQuirkServiceOpts(t *testing.T) {
	tb := with(t, "virt_client_service_opts", []columns{{"exptidx": int64(100), "vnode": "node-a", "opt_name": "x"}})
	if res := ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 manifest "); !strings.HasPrefix(string(res.Reply), "SERVICE ") {
		t.Errorf("manifest %q", res.Reply)
	}
}

// TestQuirkBlobWithoutPath crashes blobs.
func TestQuirkBlobWithoutPath(t *testing.T) {
	tb := with(t, "experiment_blobs", []columns{{"exptidx": int64(100), "idx": int64(9), "path": "", "action": "x"}})
	got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VERSION=40 blobs ").Reply)
	if strings.Count(got, "\n") != 2 {
		t.Errorf("blobs %q", got)
	}
}

// TestQuirkStackBuffer: without rows the original sends its stack.
func TestQuirkStackBuffer(t *testing.T) {
	tb := recordedBed(t)
	for command, want := range map[string]string{"pnetnodeattrs": "", "geni_slice_email": "\x00\n", "geni_control_mac": "\x00\n"} {
		if got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-3 VERSION=40 "+command+" ").Reply); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// TestQuirkGeniJSON: geni_status lacks a quote, and slice_email in geni_all is
// the buffer of what came before.
func TestQuirkGeniJSON(t *testing.T) {
	tb := recordedBed(t)
	for _, command := range []string{"geni_status", "geni_sliverstatus", "geni_all", "geni_getversion", "geni_geni_user", "geni_commands"} {
		got := ask(t, tb, "127.0.0.3", answer.TCP, "VNODEID=pcvm3-2 VERSION=40 "+command+" ").Reply
		if len(got) < 3 || got[0] != 0 || !json.Valid(got[1:]) {
			t.Errorf("%s is no JSON: %q", command, got)
		}
	}
}

// TestQuirkGeniParamNine: the original refuses the digit 9.
func TestQuirkGeniParamNine(t *testing.T) {
	tb := with(t, "virt_profile_parameters", []columns{{"exptidx": int64(100), "name": "x9", "value": "v"}})
	if got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VERSION=40 geni_param x9 ").Reply); got != "\x00v\n" {
		t.Errorf("geni_param x9: %q", got)
	}
}

// TestQuirkNull: the original prints NULL as (null).
func TestQuirkNull(t *testing.T) {
	tb := recordedBed(t)
	tb.Apply([]testbed.Change{
		{Table: "experiments", Where: map[string]string{"idx": "100"}, Set: testbed.Columns{"elab_in_elab": int64(1)}},
		{Table: "reserved", Where: map[string]string{"node_id": "pcvm1-1"}, Set: testbed.Columns{"inner_elab_role": "boss"}},
		{Table: "interfaces", Where: map[string]string{"node_id": "pc1", "iface": "eth2"}, Set: testbed.Columns{"IP": "10.77.0.1"}},
	})
	for _, request := range []string{"VNODEID=pcvm1-1 VERSION=40 emulabconfig ", "VERSION=40 ifconfig "} {
		if got := string(ask(t, tb, "127.0.0.1", answer.TCP, request).Reply); got == "" || strings.Contains(got, "(null)") {
			t.Errorf("%s: %q", request, got)
		}
	}
}

// TestQuirkWideAreaAccounts: a remote host with an account of its own kills the
// original after that account's line.
func TestQuirkWideAreaAccounts(t *testing.T) {
	got := string(ask(t, recordedBed(t), "127.0.0.11", answer.TLS, "VERSION=40 accounts ").Reply)
	if !strings.Contains(got, "ADDUSER LOGIN=carol PSWD=* UID=10003 GID=31 ROOT=1") || !strings.Contains(got, "PUBKEY LOGIN=carol") {
		t.Errorf("accounts %q", got)
	}
}

// TestQuirkStartStatusEmpty: the original takes the end of the text for success
// and writes garbage.
func TestQuirkStartStatusEmpty(t *testing.T) { silent(t, "VERSION=40 startstatus ") }

// TestQuirkLongReply: a line that doesn't fit the original's buffer ends its
// answer; here it is sent whole.
func TestQuirkLongReply(t *testing.T) {
	tb := recordedBed(t)
	long := strings.Repeat("x", 5000)
	alter(tb, "nodes", "node_id", "pcvm1-1", columns{"startupcmd": long})
	if got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 startupcmd ").Reply); got != "CMD='"+long+"' UID=bob\n" {
		t.Errorf("a long command is cut: %d bytes", len(got))
	}
}
