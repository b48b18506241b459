package proxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"emujail/protocol"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name, raw string
		command   string // empty: refused
		args      string
		version   int
		udp       bool
		stripped  string
	}{
		{name: "plain", raw: "status ", command: "status"},
		{name: "no space", raw: "status", command: "status"},
		{name: "version", raw: "VERSION=40 status ", command: "status", version: 40},
		{name: "last version wins", raw: "VERSION=2 VERSION=40 status ", command: "status", version: 40},
		{name: "udp", raw: "USEUDP=1 isalive ", command: "isalive", udp: true},
		{name: "udp elsewhere", raw: "isalive USEUDP=1 ", command: "isalive", args: "USEUDP=1 "},
		{name: "udp 0", raw: "USEUDP=0 isalive ", command: "isalive", stripped: "USEUDP"},
		{name: "vnodeid", raw: "VNODEID=pcvm1-2 status ", command: "status", stripped: "VNODEID"},
		{name: "all tags", raw: "VNODEID=a PROXYFOR=b PRIVKEY=c IDKEY=d REDIRECT=e FOO=f VERSION=3 status ", command: "status",
			version: 3, stripped: "VNODEID PROXYFOR PRIVKEY IDKEY REDIRECT FOO"},
		{name: "any case", raw: "vnodeid=a Proxyfor=b status ", command: "status", stripped: "vnodeid Proxyfor"},
		{name: "without value", raw: "VNODEID= status ", command: "status", stripped: "VNODEID"},
		{name: "version not a number", raw: "VERSION=abc status ", command: "status", stripped: "VERSION"},
		{name: "version with junk", raw: "VERSION=40abc status ", command: "status", stripped: "VERSION"},
		{name: "version too long", raw: "VERSION=4000000 status ", command: "status", stripped: "VERSION"},
		{name: "version signed", raw: "VERSION=-1 status ", command: "status", stripped: "VERSION"},
		{name: "prefix rule", raw: "nodeidXYZ ", command: "nodeid"},
		{name: "prefix rule, equals sign", raw: "status=VNODEID ", command: "status"},
		{name: "prefix rule, order", raw: "startstatus 0 ", command: "startstatus", args: "0 "},
		{name: "tags in a body", raw: "bootlog VNODEID=x  PROXYFOR=y\n\x00\xff", command: "bootlog", args: "VNODEID=x  PROXYFOR=y\n\x00\xff"},
		{name: "body of spaces", raw: "bootlog   ", command: "bootlog", args: "  "},
		{name: "bossinfo", raw: "bossinfo ", command: "bossinfo"},
		{name: "a sea of tags", raw: strings.Repeat("A=1 ", 20) + "status ", command: "status", stripped: "A A A A A A A A"},

		{name: "empty", raw: ""},
		{name: "a space", raw: " "},
		{name: "leading space", raw: " status "},
		{name: "two spaces", raw: "VERSION=40  status "},
		{name: "tags only", raw: "VERSION=40 "},
		{name: "tags only, no space", raw: "VERSION=40"},
		{name: "unknown", raw: "hello "},
		{name: "upper case", raw: "STATUS "},
		{name: "part of a command", raw: "statu "},
		{name: "part of a tag", raw: "VNODE status "},
		{name: "no name", raw: "=x status "},
		{name: "tab", raw: "VERSION=40\tstatus "},
		{name: "newline", raw: "VERSION=40\nstatus "},
		{name: "newline in a tag", raw: "FOO=\n status "},
		{name: "command with newline", raw: "status\n"},
		{name: "NUL", raw: "status\x00 "},
		{name: "NUL first", raw: "\x00status "},
		{name: "DEL", raw: "status\x7f "},
		{name: "high byte", raw: "status\xa0 "},
		{name: "long tag", raw: "A=" + strings.Repeat("x", maxHead) + " status "},
		{name: "long head", raw: strings.Repeat("A=1 ", maxHead/4) + "status "},
		{name: "long word", raw: strings.Repeat("x", maxHead+10)},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, done, err := parse([]byte(row.raw), true)
			if row.command == "" {
				if err == nil || done {
					t.Fatalf("accepted as %+v", r)
				}
				return
			}
			if err != nil || !done {
				t.Fatalf("refused: %v", err)
			}
			if r.command != row.command || string(r.args) != row.args || r.version != row.version || r.useUDP != row.udp ||
				strings.Join(r.stripped, " ") != row.stripped {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// Whatever is known of a head when only a part of it is there stays true.
func TestParseOfAPartNeverContradictsTheWhole(t *testing.T) {
	for _, raw := range []string{
		"VERSION=40 PROXYFOR=x status hello", "status ", "nodeid\x01 ", "a=1 b=2 ", "  status", "hello ", "startstatus 7",
	} {
		whole, _, wholeErr := parse([]byte(raw), true)
		for i := range raw {
			part, done, err := parse([]byte(raw[:i]), false)
			if err != nil && !errors.Is(wholeErr, err) {
				t.Errorf("%q: %v, the whole: %v", raw[:i], err, wholeErr)
			}
			if done && (part.command != whole.command || wholeErr != nil) {
				t.Errorf("%q: %+v, the whole: %+v, %v", raw[:i], part, whole, wholeErr)
			}
		}
	}
}

// T30 of docs/spec/peers.md: each command with junk, case and prefixes is sent
// on by its name in the table, or not at all.
func TestT30CommandsAreCanonicalOrRefused(t *testing.T) {
	n := 0
	for _, c := range protocol.Commands() {
		for _, word := range []string{
			c.Name, c.Name + "X", c.Name + ";rm", c.Name + "=1", c.Name + "es", c.Name[:len(c.Name)-1],
			strings.ToUpper(c.Name), strings.ToUpper(c.Name[:1]) + c.Name[1:], "x" + c.Name, c.Name + "\n", c.Name + "\x00",
		} {
			n++
			r, done, err := parse([]byte("VERSION=40 "+word+" args"), true)
			if err != nil {
				continue
			}
			sent := r.stamp("pcvm1-1", "").Append(nil)
			want, ok := protocol.Lookup(word)
			if !done || !ok || string(sent) != fmt.Sprintf("PROXYFOR=pcvm1-1 VERSION=40 %s args", want.Name) {
				t.Errorf("%q is sent on as %q", word, sent)
			}
		}
	}
	if n != 107*11 {
		t.Errorf("%d words", n)
	}
}
