package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The types of this file are what nodes send after the command's word (spec §7).
// Each parses a Request's Args as tmcd scans them, and renders as clients write
// them: every word followed by a space.

const (
	maxHostKey   = 4095 // characters of one key of hostkeys
	maxState     = 128  // characters of a state; tmcd cuts longer ones
	maxCDVersion = 31
)

// ErrArguments is what the parsers of arguments return where tmcd answers and
// writes nothing.
var ErrArguments = errors.New("arguments can't be read")

func badArgs(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrArguments, fmt.Sprintf(format, args...))
}

// ParseNumber reads the argument of startstatus, startstat, booterrno and
// elvindport like %d: blanks before and junk behind are left out. Without a digit
// it is ErrArguments, also where the original goes on with garbage.
func ParseNumber(args []byte) (int, error) {
	s := bytes.TrimLeft(args, blanks)
	n := 0
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		n = 1
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(string(s[:min(n, 12)]), 10, 32)
	if err != nil {
		return 0, badArgs("%q is no number", clip(string(args)))
	}
	return int(v), nil
}

// ParseFraction reads the argument of ntpdrift: the first word, a decimal
// fraction.
func ParseFraction(args []byte) (float64, error) {
	word, _, _ := strings.Cut(strings.TrimLeft(string(args), blanks), " ")
	return parseFraction(word)
}

func parseFraction(word string) (float64, error) {
	f, err := strconv.ParseFloat(word, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, badArgs("%q is no fraction", clip(word))
	}
	return f, nil
}

// ParseState reads the argument of state: its first word, cut at 128 characters,
// which may be letters, digits, _ and -.
func ParseState(args []byte) (string, error) {
	word := bytes.TrimLeft(args, blanks)
	if i := bytes.IndexAny(word, blanks); i >= 0 {
		word = word[:i]
	}
	word = word[:min(len(word), maxState)]
	if len(word) == 0 {
		return "", badArgs("no state")
	}
	for _, c := range word {
		if !isAlnum(c) && c != '_' && c != '-' {
			return "", badArgs("%q is no state", clip(string(word)))
		}
	}
	return string(word), nil
}

// HostKeys are the arguments of hostkeys: public keys of a node's sshd, one line
// each without its end. An empty key means that the node has none.
type HostKeys struct{ V1, RSA, DSA string }

// ParseHostKeys reads the arguments of hostkeys.
func ParseHostKeys(args []byte) (HostKeys, error) {
	var k HostKeys
	found := false
	for rest := strings.TrimLeft(string(args), blanks); rest != ""; rest = strings.TrimLeft(rest, blanks) {
		name, value, ok := strings.Cut(rest, "='")
		p := k.byName(name)
		if !ok || p == nil {
			return HostKeys{}, badArgs("no host key at %q", clip(rest))
		}
		*p, rest, ok = strings.Cut(value, "'")
		if !ok || len(*p) > maxHostKey {
			return HostKeys{}, badArgs("%s is not closed or longer than %d", name, maxHostKey)
		}
		found = true
	}
	if !found {
		return HostKeys{}, badArgs("no host key")
	}
	return k, nil
}

func (k *HostKeys) byName(name string) *string {
	switch name {
	case "SSH_HOST_KEY":
		return &k.V1
	case "SSH_HOST_RSA_KEY":
		return &k.RSA
	case "SSH_HOST_DSA_KEY":
		return &k.DSA
	}
	return nil
}

// Append renders the arguments.
func (k HostKeys) Append(dst []byte) []byte {
	for _, name := range [...]string{"SSH_HOST_KEY", "SSH_HOST_RSA_KEY", "SSH_HOST_DSA_KEY"} {
		if key := *k.byName(name); key != "" {
			dst = append(dst, name...)
			dst = append(dst, "='"...)
			dst = append(dst, key...)
			dst = append(dst, "' "...)
		}
	}
	return dst
}

// Usage are the arguments of rusage.
type Usage struct {
	LA1, LA5, LA15 float64 // load averages
	DUsed          float64 // percent of the disk in use
}

// ParseUsage reads the arguments of rusage; all four have to be there, in order.
func ParseUsage(args []byte) (Usage, error) {
	var u Usage
	err := parseFractions(args, []string{"LA1=", "LA5=", "LA15=", "DUSED="}, []*float64{&u.LA1, &u.LA5, &u.LA15, &u.DUsed})
	return u, err
}

func parseFractions(args []byte, keys []string, to []*float64) error {
	words := strings.Fields(string(args))
	for i, key := range keys {
		if i >= len(words) {
			return badArgs("no %s", key)
		}
		value, ok := strings.CutPrefix(words[i], key)
		if !ok {
			return badArgs("no %s", key)
		}
		var err error
		if *to[i], err = parseFraction(value); err != nil {
			return err
		}
	}
	return nil
}

// Append renders the arguments, to two digits after the point.
func (u Usage) Append(dst []byte) []byte {
	dst = appendFraction(dst, "LA1=", u.LA1)
	dst = appendFraction(dst, "LA5=", u.LA5)
	dst = appendFraction(dst, "LA15=", u.LA15)
	return appendFraction(dst, "DUSED=", u.DUsed)
}

func appendFraction(dst []byte, key string, f float64) []byte {
	dst = append(dst, key...)
	dst = strconv.AppendFloat(dst, f, 'f', 2, 64)
	return append(dst, ' ')
}

// Battery are the arguments of battery.
type Battery struct {
	Capacity float64 // percent, 0 to 100
	Voltage  float64 // 5 to 15
}

// ParseBattery reads the arguments of battery.
func ParseBattery(args []byte) (Battery, error) {
	var b Battery
	err := parseFractions(args, []string{"CAPACITY=", "VOLTAGE="}, []*float64{&b.Capacity, &b.Voltage})
	if err == nil && (b.Capacity < 0 || b.Capacity > 100 || b.Voltage < 5 || b.Voltage > 15) {
		err = badArgs("capacity or voltage out of range")
	}
	return b, err
}

// Append renders the arguments.
func (b Battery) Append(dst []byte) []byte {
	dst = appendFraction(dst, "CAPACITY=", b.Capacity)
	return appendFraction(dst, "VOLTAGE=", b.Voltage)
}

// PortRequest are the arguments of portregister: with Register, that a service
// listens on Port (0: no more), else the question where it does.
type PortRequest struct {
	Service  string
	Port     int
	Register bool
}

// ParsePortRequest reads the arguments of portregister.
func ParsePortRequest(args []byte) (PortRequest, error) {
	words := strings.Fields(string(args))
	if len(words) == 0 {
		return PortRequest{}, badArgs("no service")
	}
	r := PortRequest{Service: words[0]}
	if len(words) == 1 {
		return r, nil
	}
	port, err := ParseNumber([]byte(words[1]))
	if err == nil && (port < 0 || port > math.MaxUint16) {
		err = badArgs("%d is no port", port)
	}
	r.Port, r.Register = port, err == nil
	return r, err
}

// Append renders the arguments.
func (r PortRequest) Append(dst []byte) []byte {
	dst = append(dst, r.Service...)
	dst = append(dst, ' ')
	if r.Register {
		dst = strconv.AppendInt(dst, int64(r.Port), 10)
		dst = append(dst, ' ')
	}
	return dst
}

// ParseCDVersion reads the argument of hostinfo, CDVERSION=<letters, digits and
// ->: the first character of another kind ends it, and so do 31.
func ParseCDVersion(args []byte) (string, error) {
	value, ok := bytes.CutPrefix(bytes.TrimLeft(args, blanks), []byte("CDVERSION="))
	n := 0
	for n < len(value) && n < maxCDVersion && (isAlnum(value[n]) || value[n] == '-') {
		n++
	}
	if !ok || n == 0 {
		return "", badArgs("no CDVERSION=")
	}
	return string(value[:n]), nil
}

// TipLine is the body of tiplineinfo: where the vnode's console can be reached.
type TipLine struct {
	Host   string // full name
	Port   int
	KeyLen int // digits of Key
	Key    string
}

// ParseTipLine reads the body of tiplineinfo: "name: value" lines.
func ParseTipLine(args []byte) (TipLine, error) {
	var t TipLine
	for line := range strings.SplitSeq(strings.TrimSpace(string(args)), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		if err := t.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return TipLine{}, err
		}
	}
	return t, nil
}

func (t *TipLine) set(name, value string) (err error) {
	switch name {
	case "host":
		t.Host = value
		if value == "" || strings.ContainsFunc(value, notHost) {
			err = badArgs("%q is no host", clip(value))
		}
	case "port":
		t.Port, err = ParseNumber([]byte(value))
	case "keylen":
		t.KeyLen, err = ParseNumber([]byte(value))
	case "key":
		t.Key = value
		if strings.ContainsFunc(value, notAlnum) {
			err = badArgs("key is not alphanumeric")
		}
	default:
		err = badArgs("no tip line at %q", clip(name))
	}
	return err
}

func notAlnum(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) }

func notHost(r rune) bool { return notAlnum(r) && r != '.' && r != '-' }

// Append renders the body.
func (t TipLine) Append(dst []byte) []byte {
	return fmt.Appendf(dst, "host: %s\nport: %d\nkeylen: %d\nkey: %s\n", t.Host, t.Port, t.KeyLen, t.Key)
}
