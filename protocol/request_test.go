package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	long := strings.Repeat("a", 31)
	key := strings.Repeat("0123456789abcdef", 9)
	for name, row := range map[string]struct {
		in   string
		want Request
	}{
		"bare command":           {"status", Request{Command: "status"}},
		"space but no arguments": {"status ", Request{Command: "status", Args: []byte{}, HasArgs: true}},
		"trailing space stays":   {"bootlog a b ", Request{Command: "bootlog", Args: []byte("a b "), HasArgs: true}},
		"tags after the command": {"bootlog VNODEID=x ", Request{Command: "bootlog", Args: []byte("VNODEID=x "), HasArgs: true}},
		"junk on the word":       {"keyhashes", Request{Command: "keyhash", Word: "keyhashes"}},
		"first row wins":         {"statement", Request{Command: "state", Word: "statement"}},
		"newline in the word":    {"status\n", Request{Command: "status", Word: "status\n"}},
		"unknown geni":           {"geni_foo", Request{Command: "geni_invalid", Word: "geni_foo"}},
		"version":                {"VERSION=40 status", Request{Version: 40, Command: "status"}},
		"version with junk":      {"VERSION=40abc status", Request{Version: 40, Command: "status"}},
		"negative version":       {"VERSION=-5 status", Request{Version: -5, Command: "status"}},
		"version zero":           {"VERSION=0 status", Request{Version: 1, Command: "status"}},
		"version of 31 bits":     {"VERSION=2147483647 status", Request{Version: 2147483647, Command: "status"}},
		"version of 32 bits":     {"VERSION=2147483648 status", Request{Version: -2147483648, Command: "status"}},
		"version of 33 bits":     {"VERSION=4294967336 status", Request{Version: 40, Command: "status"}},
		"version without end":    {"VERSION=99999999999999999999 status", Request{Version: -1, Command: "status"}},
		"version with none, too": {"VERSION=-99999999999999999999 status", Request{Version: 1, Command: "status"}},
		"long external key":      {"IDKEY=" + strings.Repeat("k", 128) + "-x status", Request{IDKey: strings.Repeat("k", 128), Command: "status"}},
		"version twice":          {"VERSION=9 VERSION=40 status", Request{Version: 40, Command: "status"}},
		"node id cut at 30":      {"VNODEID=" + long + " status", Request{VNodeID: long[:30], Command: "status"}},
		"junk behind 30":         {"VNODEID=" + long + "/../ status", Request{VNodeID: long[:30], Command: "status"}},
		"key cut at 128":         {"PRIVKEY=" + key + " status", Request{PrivKey: key[:128], Command: "status"}},
		"vnode then proxy":       {"VNODEID=a PROXYFOR=b status", Request{ProxyFor: "b", Command: "status"}},
		"proxy then vnode":       {"PROXYFOR=a VNODEID=b status", Request{ProxyFor: "a", VNodeID: "b", Command: "status"}},
		"other tags":             {"IDKEY=k1 REDIRECT=10.0.0.1 status", Request{IDKey: "k1", Redirect: "10.0.0.1", Command: "status"}},
	} {
		t.Run(name, func(t *testing.T) {
			if row.want.Word == "" {
				row.want.Word = row.want.Command
			}
			got, err := ParseRequest([]byte(row.in))
			if err != nil || !reflect.DeepEqual(got, row.want) {
				t.Errorf("%q: %+v, %v\nwant %+v", row.in, got, err, row.want)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		in   string
		want error
	}{
		"nothing":                 {"", ErrNoCommand},
		"one space":               {" ", ErrEmptyToken},
		"leading space":           {" status", ErrEmptyToken},
		"two spaces":              {"VERSION=40  status", ErrEmptyToken},
		"tags only":               {"VERSION=40", ErrNoCommand},
		"tags and a space":        {"VERSION=40 ", ErrNoCommand},
		"part of a tag":           {"VNODE status", ErrTagPrefix},
		"first letter":            {"P status", ErrTagPrefix},
		"tag without value":       {"PRIVKEY= status", ErrTagPrefix},
		"tag with a tab":          {"VNODEID=\t status", ErrTagPrefix},
		"dot in node id":          {"VNODEID=pcvm1.1 status", ErrNodeID},
		"slash in node id":        {"PROXYFOR=../x status", ErrNodeID},
		"short key":               {"PRIVKEY=0123456789abcde status", ErrKey},
		"key not hexadecimal":     {"PRIVKEY=0123456789abcdeg status", ErrKey},
		"external key":            {"IDKEY=a-b status", ErrIDKey},
		"version without a digit": {"VERSION=abc status", ErrUnknownCommand},
		"lower case tag":          {"vnodeid=a status", ErrUnknownCommand},
		"USEUDP":                  {"USEUDP=1 status", ErrUnknownCommand},
		"TLS tag":                 {TLSTag, ErrUnknownCommand},
		"too short a word":        {"stat ", ErrUnknownCommand},
		"upper case":              {"NODEID", ErrUnknownCommand},
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := ParseRequest([]byte(row.in)); !errors.Is(err, row.want) {
				t.Errorf("%q: %+v, %v, want %v", row.in, r, err, row.want)
			}
		})
	}
}

func TestErrorsKeepKeysSecret(t *testing.T) {
	_, err := ParseRequest([]byte("PRIVKEY=0123456789abcdefXYZ status"))
	if err == nil || strings.Contains(err.Error(), "0123") {
		t.Errorf("%v", err)
	}
}

func TestWhoAsks(t *testing.T) {
	for name, row := range map[string]struct {
		in, node string
		inside   bool
	}{
		"host":             {"status", "", false},
		"host for a vnode": {"VNODEID=a status", "a", false},
		"vnode":            {"PROXYFOR=a status", "a", true},
		"name changes":     {"PROXYFOR=a VNODEID=b status", "b", true},
		"proxy comes last": {"VNODEID=a PROXYFOR=b status", "b", true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest([]byte(row.in))
			if err != nil || r.NodeID() != row.node || r.AsVNode() != row.inside {
				t.Errorf("%q, %v, %v", r.NodeID(), r.AsVNode(), err)
			}
		})
	}
}

func TestRequestAppend(t *testing.T) {
	r := Request{
		Version: 40, ProxyFor: "pcvm1-1", PrivKey: "0123456789abcdef", UseUDP: true,
		Command: "bootlog", Args: []byte("a  b "), HasArgs: true,
	}
	const want = "PROXYFOR=pcvm1-1 PRIVKEY=0123456789abcdef USEUDP=1 VERSION=40 bootlog a  b "
	if got := string(r.Append(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := string((Request{Command: "status"}).Append(nil)); got != "status" {
		t.Errorf("%q", got)
	}
}

func TestEffectiveVersion(t *testing.T) {
	if v := (Request{}).EffectiveVersion(); v != 2 {
		t.Errorf("without a tag: %d", v)
	}
	if v := (Request{Version: 40}).EffectiveVersion(); v != 40 {
		t.Errorf("with one: %d", v)
	}
}
