package protocol

import (
	"errors"
	"strings"
	"testing"
)

// parseArgs parses the arguments of a command that has some.
func parseArgs(command string, args []byte) (known bool, err error) {
	switch command {
	case "startstatus", "startstat", "booterrno", "elvindport":
		_, err = ParseNumber(args)
	case "ntpdrift":
		_, err = ParseFraction(args)
	case "hostkeys":
		_, err = ParseHostKeys(args)
	case "rusage":
		_, err = ParseUsage(args)
	case "battery":
		_, err = ParseBattery(args)
	case "hostinfo":
		_, err = ParseCDVersion(args)
	case "tiplineinfo":
		_, err = ParseTipLine(args)
	default:
		return false, nil
	}
	return true, err
}

// Arguments that this package reads are those for which the original wrote to
// its database, and the others those for which it didn't.
func TestRecordedArguments(t *testing.T) {
	read, refused := 0, 0
	for _, e := range exchanges(t) {
		r, err := ParseRequest(e.request())
		if err != nil || e.Group != "args" || e.Crash || e.Transport != "tcp" {
			continue
		}
		known, err := parseArgs(r.Command, r.Args)
		if !known || len(strings.TrimSpace(string(r.Args))) == 0 {
			continue
		}
		if err == nil {
			read++
		} else {
			refused++
		}
		if wrote := len(e.DBTables) > 0; wrote != (err == nil) {
			t.Errorf("%s: %q: wrote %v, but %v", e.ID, e.request(), wrote, err)
		}
	}
	if read != 38 || refused != 31 {
		t.Errorf("%d read and %d refused, want 38 and 31", read, refused)
	}
}

func TestParseNumber(t *testing.T) {
	for name, row := range map[string]struct {
		in   string
		want int
		ok   bool
	}{
		"plain":      {"3 ", 3, true},
		"blank":      {"  9 ", 9, true},
		"negative":   {"-1 ", -1, true},
		"junk after": {"7xyz ", 7, true},
		"text":       {"abc ", 0, false},
		"nothing":    {"", 0, false},
		"only blank": {" ", 0, false},
		"sign only":  {"- ", 0, false},
		"too large":  {"99999999999999999999", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseNumber([]byte(row.in))
			if got != row.want || (err == nil) != row.ok {
				t.Errorf("%q: %d, %v", row.in, got, err)
			}
		})
	}
}

func TestParseState(t *testing.T) {
	for name, row := range map[string]struct{ in, want string }{
		"plain":       {"ISUP ", "ISUP"},
		"more words":  {"ISUP extra words ", "ISUP"},
		"newline":     {"ISUP\n", "ISUP"},
		"semicolon":   {"BAD;NAME ", ""},
		"nothing":     {" ", ""},
		"cut at 128":  {strings.Repeat("A", 200), strings.Repeat("A", 128)},
		"junk in cut": {strings.Repeat("A", 128) + ";", strings.Repeat("A", 128)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseState([]byte(row.in))
			if got != row.want || (err == nil) != (row.want != "") {
				t.Errorf("%q: %q, %v", row.in, got, err)
			}
			if err != nil && !errors.Is(err, ErrArguments) {
				t.Errorf("%v is not ErrArguments", err)
			}
		})
	}
}

func TestHostKeys(t *testing.T) {
	long := strings.Repeat("K", 4095)
	for name, row := range map[string]struct {
		in   string
		want HostKeys
		ok   bool
	}{
		"all":        {"SSH_HOST_KEY='1024 35 1' SSH_HOST_RSA_KEY='ssh-rsa A' SSH_HOST_DSA_KEY='ssh-dss B' ", HostKeys{"1024 35 1", "ssh-rsa A", "ssh-dss B"}, true},
		"one":        {"SSH_HOST_RSA_KEY='only rsa' ", HostKeys{RSA: "only rsa"}, true},
		"longest":    {"SSH_HOST_RSA_KEY='" + long + "' ", HostKeys{RSA: long}, true},
		"too long":   {"SSH_HOST_RSA_KEY='" + long + "K' ", HostKeys{}, false},
		"other word": {"FOO='x' ", HostKeys{}, false},
		"quote":      {`SSH_HOST_RSA_KEY='a\'b' `, HostKeys{}, false},
		"not closed": {"SSH_HOST_RSA_KEY='a ", HostKeys{}, false},
		"nothing":    {" ", HostKeys{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseHostKeys([]byte(row.in))
			if got != row.want || (err == nil) != row.ok {
				t.Errorf("%+v, %v", got, err)
			}
			if out := string(got.Append(nil)); row.ok && out != row.in {
				t.Errorf("renders as %q, want %q", out, row.in)
			}
		})
	}
}

func TestPortRequest(t *testing.T) {
	for name, row := range map[string]struct {
		in   string
		want PortRequest
		ok   bool
	}{
		"question":   {"mysvc ", PortRequest{Service: "mysvc"}, true},
		"register":   {"mysvc 4321 ", PortRequest{"mysvc", 4321, true}, true},
		"remove":     {"mysvc 0 ", PortRequest{"mysvc", 0, true}, true},
		"quote":      {"it's 5 ", PortRequest{"it's", 5, true}, true},
		"nothing":    {" ", PortRequest{}, false},
		"no port":    {"mysvc x ", PortRequest{Service: "mysvc"}, false},
		"large port": {"mysvc 65536 ", PortRequest{Service: "mysvc", Port: 65536}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePortRequest([]byte(row.in))
			if got != row.want || (err == nil) != row.ok {
				t.Errorf("%+v, %v", got, err)
			}
			if out := string(got.Append(nil)); row.ok && out != row.in {
				t.Errorf("renders as %q, want %q", out, row.in)
			}
		})
	}
}

func TestUsageAndBattery(t *testing.T) {
	u := Usage{LA1: 0.1, LA5: 0.2, LA15: 0.3, DUsed: 45.5}
	const usage = "LA1=0.10 LA5=0.20 LA15=0.30 DUSED=45.50 "
	if got := string(u.Append(nil)); got != usage {
		t.Errorf("%q, want %q", got, usage)
	}
	if got, err := ParseUsage([]byte(usage)); got != u || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	b := Battery{Capacity: 50, Voltage: 12.5}
	if got, err := ParseBattery(b.Append(nil)); got != b || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"CAPACITY=101 VOLTAGE=12 ", "CAPACITY=50 VOLTAGE=4.9 ", "CAPACITY=NaN VOLTAGE=9 ", "VOLTAGE=9 "} {
		if _, err := ParseBattery([]byte(bad)); !errors.Is(err, ErrArguments) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTipLine(t *testing.T) {
	want := TipLine{Host: "pc1.example.net", Port: 4501, KeyLen: 4, Key: "abcd"}
	if got, err := ParseTipLine(want.Append(nil)); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"foo: x\n", "host: bad_host\n", "key: a b\n", "port: x\n", ""} {
		if _, err := ParseTipLine([]byte(bad)); !errors.Is(err, ErrArguments) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCDVersion(t *testing.T) {
	if got, err := ParseCDVersion([]byte("CDVERSION=1.2-b ")); got != "1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ParseCDVersion([]byte("FOO=1 ")); !errors.Is(err, ErrArguments) {
		t.Errorf("%v", err)
	}
}
