package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
)

// TestBlobs: sorted by number, none for tainted nodes, and none if they are too many.
func TestBlobs(t *testing.T) {
	const rows = `  experiment_blobs:
    - {exptidx: 100, idx: 5, path: /b, action: unpack}
    - {exptidx: 100, idx: 4, path: /a, action: nothing}
    - {exptidx: 100, idx: 6, path: /c, action: ''}
`
	for more, want := range map[string]string{
		"": "URL=frisbee:///a ACTION=nothing\nURL=frisbee:///b ACTION=unpack\n",
		"  nodes: [{node_id: one, taint_states: useronly}]\n": "",
		"    - {exptidx: 100, idx: 7, path: '" + strings.Repeat("x", 1934) + "', action: y}\n": "URL=frisbee:///a ACTION=nothing\nURL=frisbee:///b ACTION=unpack\n" +
			"URL=frisbee://" + strings.Repeat("x", 1934) + " ACTION=y\n",
		"    - {exptidx: 100, idx: 7, path: '" + strings.Repeat("x", 2000) + "', action: y}\n": "",
	} {
		if got := string(ask(t, smallBed(t, shapeBed+rows+more), "127.0.0.1", answer.TCP, "VERSION=40 blobs ").Reply); got != want {
			t.Errorf("%q: got %q, want %q", more, got, want)
		}
	}
}

// TestPrograms: none on a blackbox, and what the versions know.
func TestPrograms(t *testing.T) {
	rows := `
  nodes: [{node_id: vm2, taint_states: "dangerous,blackbox"}]
  virt_programs:
    - {exptidx: 100, vnode: a, vname: one, command: "a\nb 'c'", dir: /tmp, timeout: 0, expected_exit_code: 3}
    - {exptidx: 100, vnode: a, vname: two, command: x, dir: ""}
    - {exptidx: 100, vnode: b, vname: one, command: x}
`
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.1 VNODEID=vm1 VERSION=40 programs": "UID=alice\nAGENT=one DIR=/tmp TIMEOUT=0 EXPECTED_EXIT_CODE=3 COMMAND='a\nb 'c''\nAGENT=two COMMAND='x'\n",
		"10.0.0.1 VNODEID=vm1 VERSION=22 programs": "UID=alice\nAGENT=one COMMAND='a\nb 'c''\nAGENT=two COMMAND='x'\n",
		"10.0.0.1 VNODEID=vm1 VERSION=12 programs": "UID=alice\nAGENT=one\nAGENT=two\n",
		"10.0.0.1 VNODEID=vm2 VERSION=40 programs": "",
	})
}
