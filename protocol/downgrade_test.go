package protocol

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// A reply of version 40, read and rendered for an older version, is what the
// original sent to the same node in that version.
func TestOlderVersionsFromToday(t *testing.T) {
	today := map[string]Block{} // by who asked
	var old []exchange
	for _, e := range exchanges(t) {
		r, err := ParseRequest(e.request())
		if err != nil || e.Group != "versions" || e.Crash {
			continue
		}
		if !slices.Contains(e.versions(r.Version), Version) {
			old = append(old, e)
			continue
		}
		for _, b := range blocksOf(t, e.ID, r.Command, e.reply()) {
			today[asker(e, r, b.Command)] = b
		}
	}
	count := 0
	for _, e := range old {
		r, _ := ParseRequest(e.request())
		for _, was := range blocksOf(t, e.ID, r.Command, e.reply()) {
			now, ok := today[asker(e, r, was.Command)]
			if !ok {
				continue
			}
			for _, version := range e.versions(0) {
				if !serverDecides(was.Command, version) {
					count++
					olderFromToday(t, e.ID, was, now, version)
				}
			}
		}
	}
	const want = 8271
	if count != want {
		t.Errorf("%d replies, want %d", count, want)
	}
}

func asker(e exchange, r Request, block string) string {
	return strings.Join([]string{e.Source, r.VNodeID, r.ProxyFor, r.Command, block}, " ")
}

// serverDecides lists what isn't a matter of rendering: in these versions the
// original sent other data.
func serverDecides(command string, version int) bool {
	switch command {
	case "routing": // from 19 on a node of type static computes its routes itself
		return version < 19
	case "accounts": // version 4 has other keys
		return version == 4
	case "loadinfo": // version and age of images came step by step
		return version >= 33 && version < 39
	case "firewallinfo": // the site's variables came with 22
		return version < 22
	case "ipodinfo", "jailconfig": // hashes with random salt
		return true
	case "fullconfig": // compared block by block
		return true
	}
	return false
}

func olderFromToday(t *testing.T, id string, was, now Block, version int) {
	t.Helper()
	reply, err := ParseReply(now.Command, now.Body)
	if err != nil {
		t.Errorf("%s: %s: %v", id, now.Command, err)
		return
	}
	if got := reply.Append(nil, version); !sameLines(got, was.Body) {
		t.Errorf("%s: %s in version %d:\n%s\nwant\n%s", id, was.Command, version, got, was.Body)
	}
}

// sameLines compares without order.
func sameLines(a, b []byte) bool { return bytes.Equal(sortLines(a), sortLines(b)) }

func sortLines(b []byte) []byte {
	lines := bytes.Split(b, []byte("\n"))
	slices.SortFunc(lines, bytes.Compare)
	return bytes.Join(lines, []byte("\n"))
}
