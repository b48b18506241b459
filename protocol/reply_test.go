package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Words that nobody knows yet come through every family of KEY=VALUE lines.
func TestUnknownWordsSurvive(t *testing.T) {
	none := map[string]bool{ // one value, not words
		"nodeid": true, "nodeuuid": true, "role": true, "nodeattributes": true, "jailconfig": true,
		"keyhash": true, "eventkey": true, "rootpswd": true, "localization": true, "ntpinfo": true,
	}
	count := 0
	for _, command := range Commands() {
		if parserOf(command.Name) == nil || none[command.Name] {
			continue
		}
		for _, seed := range seedsOf(t, command.Name) {
			reply, err := ParseReply(command.Name, seed)
			if err != nil || len(seed) == 0 || !bytes.Equal(reply.Append(nil, Version), seed) || string(seed) == "FREE\n" {
				continue
			}
			var in []byte
			for line := range strings.Lines(string(seed)) {
				in = append(in, line...)
				if !strings.HasPrefix(line, "PUBKEY") {
					in = append(in[:len(in)-1], " NEWKEY='a b' NEWER=1\n"...)
				}
			}
			count++
			reply, err = ParseReply(command.Name, in)
			if err != nil {
				t.Errorf("%s: %v\n%s", command.Name, err, in)
			} else if got := reply.Append(nil, Version); !bytes.Equal(got, in) {
				t.Errorf("%s:\n%s\nwant\n%s", command.Name, got, in)
			}
		}
	}
	if count != 236 {
		t.Errorf("%d replies, want 236", count)
	}
}

func TestLineErrors(t *testing.T) {
	for name, row := range map[string]struct{ command, in, want string }{
		"cut off":        {"accounts", "ADDGROUP NAME=a GID=60", "line 1: line is cut off"},
		"no uid":         {"accounts", "ADDUSER LOGIN=a PSWD=* GID=1\n", "line 1: no UID="},
		"empty uid":      {"accounts", "ADDUSER LOGIN=a PSWD=* UID= GID=1\n", "line 1: UID= is empty"},
		"uid in letters": {"accounts", "ADDUSER LOGIN=a UID=x GID=1\n", `line 1: UID="x" is not a number`},
		"uid twice":      {"accounts", "ADDUSER LOGIN=a UID=1 GID=1 UID=0\n", "line 1: UID= comes twice"},
		"root=2":         {"accounts", "ADDUSER LOGIN=a UID=1 GID=1 ROOT=2\n", `line 1: ROOT="2" is neither 0 nor 1`},
		"open quote":     {"accounts", "ADDUSER LOGIN=a UID=1 GID=1 NAME=\"x HOMEDIR=/\n", "line 1: NAME=: quote is not closed"},
		"groups":         {"accounts", "ADDUSER LOGIN=a UID=1 GID=1 GLIST=\"1,b\"\n", `line 1: GLIST=: "b" is not a number`},
		"key of nobody":  {"accounts", "PUBKEY LOGIN=a KEY=\"k\"\n", `line 1: PUBKEY of unknown user "a"`},
		"unknown line":   {"accounts", "DELUSER LOGIN=a\n", `line 1: unexpected "DELUSER"`},
		"empty line":     {"accounts", "\n", "line 1: empty line"},
		"no word":        {"ifconfig", "INTERFACE foo\n", `line 1: no KEY=VALUE word at "foo"`},
		"second line":    {"tarballs", "DIR=/a TARBALL=/b\nDIR=/a\n", "line 2: no TARBALL="},
		"long line":      {"tarballs", "DIR=/a TARBALL=" + strings.Repeat("b", 9000) + "\n", "line 1: line is longer than 8192 bytes"},
		"wrong tag":      {"keyhash", "EVENTKEY HASH='x'\n", `line 1: unexpected "EVENTKEY"`},
		"no tag":         {"keyhash", "HASH='x'\n", "line 1: line begins without its tag"},
		"two answers":    {"creator", "CREATOR=a\nCREATOR=b\n", "line 2: one line was expected"},
		"two words":      {"nodeid", "pc1 pc2\n", "line 1: one word was expected"},
		"bad port":       {"jailconfig", "SSHDPORT=65536\n", `line 1: SSHDPORT=: "65536" is no port`},
		"bad range":      {"jailconfig", "PORTRANGE=\"9,1\"\n", `line 1: PORTRANGE=: "9,1" is no range of ports`},
		"bad address":    {"jailconfig", "JAILIP=\"10.0.0.256,255.0.0.0\"\n", `line 1: JAILIP=: "10.0.0.256" is no address`},
		"zone":           {"jailconfig", "IPADDRS=\"fe80::1%eth0\"\n", `line 1: IPADDRS=: "fe80::1%eth0" is no address`},
		"not a flag":     {"jailconfig", "ROUTING=yes\n", `line 1: ROUTING=: "yes" is neither 0 nor 1`},
		"empty reply":    {"isalive", "", "empty reply"},
		"no fraction":    {"linkdelay", "LINKDELAY IFACE=a TYPE=simplex PIPE=1 DELAY=NaN BW=1 PLR=0\n", `line 1: DELAY="NaN" is not a fraction`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseReply(row.command, []byte(row.in))
			if err == nil || err.Error() != row.want {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

// A bad line is named, and all others are read.
func TestGoodLinesSurviveBadOnes(t *testing.T) {
	all, err := ParseTarballs([]byte("DIR=/a TARBALL=/x\nDIR=/b\nDIR=/c TARBALL=/z\nDIR=/d TARBA"))
	want := Tarballs{{Dir: "/a", Path: "/x"}, {Dir: "/c", Path: "/z"}}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("%+v, want %+v", all, want)
	}
	var line *LineError
	if !errors.As(err, &line) || line.Line != 2 || !errors.Is(err, ErrCutOff) {
		t.Errorf("%v", err)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, err := ParseTarballs([]byte(strings.Repeat("x\n", MaxLines+1)))
	if n := strings.Count(err.Error(), "\n") + 1; n != maxLineErrors+1 {
		t.Errorf("%d lines of error", n)
	}
	if !errors.Is(err, ErrTooManyLines) {
		t.Errorf("%v", err)
	}
}

// What users write may hold quotes and look like the next word.
func TestFreeText(t *testing.T) {
	for name, row := range map[string]struct{ in, command, uid string }{
		"apostrophe":    {"CMD='/bin/echo it's done' UID=bob\n", "/bin/echo it's done", "bob"},
		"another user":  {"CMD='x' UID=root' UID=bob\n", "x' UID=root", "bob"},
		"quoted words":  {"CMD='A='1' B='2'' UID=bob\n", "A='1' B='2'", "bob"},
		"empty":         {"CMD='' UID=bob\n", "", "bob"},
		"double quotes": {"CMD='sh -c \"a b\"' UID=bob\n", "sh -c \"a b\"", "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseStartupCmd([]byte(row.in))
			if err != nil || got.Command != row.command || got.UID != row.uid {
				t.Errorf("%+v, %v", got, err)
			}
			if out := string(got.Append(nil, Version)); out != row.in {
				t.Errorf("renders as %q", out)
			}
		})
	}
}

// A value can't begin a line of its own.
func TestNoLineEndInsideValues(t *testing.T) {
	a := Accounts{Users: []User{{Login: "a", Name: "x\nADDUSER LOGIN=root UID=0 GID=0", UID: 1, GID: 1}}}
	if out := a.Append(nil, Version); bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("%q", out)
	}
	j := JailConfig{EventServer: "a\nROUTING=1"}
	if out := j.Append(nil, Version); bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("%q", out)
	}
}

// The zero value of a reply that may be empty renders as nothing.
func TestZeroIsEmpty(t *testing.T) {
	always := map[string]bool{"isalive": true, "rusage": true, "readycount": true, "watchdoginfo": true}
	for _, command := range Commands() {
		if parserOf(command.Name) == nil {
			continue
		}
		reply, err := ParseReply(command.Name, nil)
		if always[command.Name] != errors.Is(err, ErrEmptyReply) {
			t.Errorf("%s: %v", command.Name, err)
		}
		if out := reply.Append(nil, Version); err == nil && len(out) > 0 {
			t.Errorf("%s: %q", command.Name, out)
		}
	}
}

func TestGENI(t *testing.T) {
	for name, row := range map[string]struct {
		in   string
		want GENI
	}{
		"value":  {"\x00node-a\n", GENI{Data: "node-a"}},
		"empty":  {"\x00\n", GENI{}},
		"failed": {"\x00\x00unknown request\n", GENI{Failed: true, Data: "unknown request"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseGENI([]byte(row.in))
			if got != row.want || err != nil || string(got.Append(nil, 0)) != row.in {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for _, bad := range []string{"", "x\n", "\x00x"} {
		if got, err := ParseGENI([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestSplitFullConfigErrors(t *testing.T) {
	for name, row := range map[string]struct {
		in     string
		blocks int
		want   string
	}{
		"nothing":      {"", 0, "<nil>"},
		"no head":      {"pc1\n", 0, `line 1: no block begins with "pc1"`},
		"not closed":   {"*** a\n*** a\n*** b\nx\n", 1, `line 3: block "b" is not closed`},
		"cut head":     {"*** a\nx\n*** a\n***", 1, `line 4: no block begins with "***"`},
		"no line end":  {"*** a\nx*** a\n", 1, "<nil>"},
		"other inside": {"*** a\n*** b\n*** a\n", 1, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			blocks, err := SplitFullConfig([]byte(row.in))
			if len(blocks) != row.blocks || fmt.Sprint(err) != row.want {
				t.Errorf("%d blocks, %v", len(blocks), err)
			}
		})
	}
}
