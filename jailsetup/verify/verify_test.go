package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	good := func(*Facts) error { return nil }
	bad := func(*Facts) error { return errors.New("it is writable") }
	none := func(*Facts) error { return errNothing{"nothing to see"} }
	refused, let := Inside{Came: map[string]string{"bpf": "EPERM"}}, Inside{Came: map[string]string{"bpf": "EINVAL"}}
	silent := Inside{Err: errors.New("no answer within 15s")}
	bpf := []string{"bpf"}
	for name, c := range map[string]struct {
		row  row
		in   Inside
		want Result
	}{
		"seen outside":                        {row{outside: good}, refused, Result{Outcome: Pass, Saw: "holds", Side: "outside"}},
		"fails outside":                       {row{outside: bad}, refused, Result{Outcome: Fail, Saw: "it is writable", Side: "outside"}},
		"nothing to see":                      {row{outside: none}, refused, Result{Outcome: Skip, Saw: "nothing to see"}},
		"both":                                {row{outside: good, inside: bpf}, refused, Result{Outcome: Pass, Saw: "holds", Side: "outside and inside"}},
		"not refused inside":                  {row{outside: good, inside: bpf}, let, Result{Outcome: Fail, Saw: "inside, bpf is not refused: EINVAL", Side: "outside and inside"}},
		"a jail that says no can't hide this": {row{outside: bad, inside: bpf}, refused, Result{Outcome: Fail, Saw: "it is writable", Side: "outside and inside"}},
		"a silent jail leaves what was seen":  {row{outside: good, inside: bpf}, silent, Result{Outcome: Pass, Saw: "holds", Side: "outside"}},
		"either, outside":                     {row{outside: good, inside: bpf, either: true}, let, Result{Outcome: Pass, Saw: "holds", Side: "outside"}},
		"either, inside":                      {row{outside: bad, inside: bpf, either: true}, refused, Result{Outcome: Pass, Saw: "holds", Side: "inside"}},
		"either, neither":                     {row{outside: bad, inside: bpf, either: true}, let, Result{Outcome: Fail, Saw: "it is writable; inside, bpf is not refused: EINVAL", Side: "outside and inside"}},
		"either, silent":                      {row{outside: bad, inside: bpf, either: true}, silent, Result{Outcome: Skip, Saw: "the jail was asked, but no answer within 15s"}},
		"of another version":                  {row{outside: good, inside: []string{"new"}}, refused, Result{Outcome: Pass, Saw: "holds", Side: "outside"}},
		"skipped":                             {row{skip: "why", outside: bad}, refused, Result{Outcome: Skip, Saw: "why"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.row.holds = "holds"
			if got := c.row.judge(nil, c.in); got != c.want {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestParseInside: a jail's words are few, short and plain, or an error.
func TestParseInside(t *testing.T) {
	got, err := ParseInside("bpf EPERM\nread:kcore empty\n")
	if err != nil || got["bpf"] != "EPERM" || got["read:kcore"] != "empty" {
		t.Errorf("%v, %v", got, err)
	}
	for name, text := range map[string]string{
		"no word": "bpf\n", "a control character": "bpf \x1b[31m\n", "three words": "bpf EPERM really\n",
		"a long word": "bpf " + strings.Repeat("E", 41) + "\n", "too many": manyLines(201),
	} {
		if _, err := ParseInside(text); err == nil || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d EPERM\n", i)
	}
	return b.String()
}

// TestRows: each row that is promised is there, in order; each says what holds
// and what carries it, or why it isn't looked at.
func TestRows(t *testing.T) {
	all := slices.Concat(jailRows(), peerRows())
	if len(all) != 61 {
		t.Errorf("%d rows, want 61", len(all))
	}
	for i, r := range all {
		if looked := r.outside != nil && r.holds != "" && r.carrier != ""; looked == (r.skip != "") {
			t.Errorf("%s: %+v", r.id, r)
		}
		if slices.ContainsFunc(all[:i], func(o row) bool { return o.id == r.id }) {
			t.Errorf("%s is there twice", r.id)
		}
	}
}
