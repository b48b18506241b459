// Package fault makes trouble on demand, for people who write clients.
//
//	rule, err := fault.Parse("delay command=accounts node=pcvm1-* p=0.5 next=3 delay=2s")
//	set := fault.NewSet(seed)
//	id := set.Add(rule)
//	for _, t := range set.For(fault.Ask{Command: "accounts", Node: "pcvm1-1", Transport: "tcp"}) { … }
//
// A Rule says what goes wrong (Kind) and for which requests: command × node × transport ×
// probability × "the next N". A Set holds rules and decides; the server does what it says. Chance is
// a function of the seed, the rule, the node, the command and how often that node has asked that
// command: the same seed gives every node the same trouble, however requests interleave.
//
// A Timeline (timeline.go) is a list of things that happen by themselves some time after the start.
//
// Nothing here touches a socket. Whoever knows toxiproxy can use its names of the kinds.
package fault

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds. The first group happens before the request counts: its command isn't run.
const (
	Down      Kind = "down"       // the connection is reset at once, a datagram is dropped: as if tmcd were not there
	WrongCert Kind = "wrong-cert" // TLS: a certificate that no CA signed
	Refuse    Kind = "refuse"     // silence, and the connection is closed
	Hang      Kind = "hang"       // never an answer; the connection stays open
	Redirect  Kind = "redirect"   // REDIRECT=<to> for an answer
	Loop      Kind = "loop"       // REDIRECT to where the client is already

	Delay     Kind = "delay"      // the answer comes later: delay, give or take jitter
	Reset     Kind = "reset"      // the connection is reset, after bytes of the answer
	Cut       Kind = "cut"        // the answer ends after bytes, cleanly
	Garbage   Kind = "garbage"    // random bytes for an answer, as many as it has, or bytes
	Empty     Kind = "empty"      // an empty answer, cleanly
	HalfClose Kind = "half-close" // the answer, then only the writing side is closed
	SlowClose Kind = "slow-close" // the answer, then a delay before the end
	Drip      Kind = "drip"       // the answer at rate bytes a second
	Slice     Kind = "slice"      // the answer in pieces of bytes, with a delay between them
)

// kind is a row of the table that parsing, help and documentation share.
type kind struct {
	Kind  Kind
	Alias string // its name in toxiproxy
	Needs string // parameter without which it means nothing
	Text  string
}

func kinds() []kind {
	return []kind{
		{Down, "down", "", "as if tmcd were not there: connections reset at once, datagrams dropped"},
		{WrongCert, "", "", "TLS handshake with a certificate that no CA signed"},
		{Refuse, "", "", "close without a byte; the command is not run"},
		{Hang, "timeout", "", "never answer, for <delay> or ten minutes; the command is not run"},
		{Redirect, "", "to", "answer REDIRECT=<to>; the command is not run"},
		{Loop, "", "", "answer with a redirect to the same server"},
		{Delay, "latency", "delay", "answer after delay, give or take jitter"},
		{Reset, "reset_peer", "", "reset the connection after the first <bytes> of the answer"},
		{Cut, "limit_data", "", "end the answer cleanly after <bytes>"},
		{Garbage, "", "", "random bytes instead of the answer"},
		{Empty, "", "", "an empty answer"},
		{HalfClose, "", "", "after the answer close the writing side only"},
		{SlowClose, "slow_close", "delay", "after the answer wait before closing"},
		{Drip, "bandwidth", "rate", "the answer at <rate> bytes a second"},
		{Slice, "slicer", "bytes", "the answer in pieces of <bytes>, <delay> apart"},
	}
}

// Kinds returns name and meaning of every kind, for help.
func Kinds() [][2]string {
	var list [][2]string
	for _, k := range kinds() {
		list = append(list, [2]string{string(k.Kind), k.Text})
	}
	return list
}

// Rule is one kind of trouble and whom it meets. Patterns are those of path.Match; an empty one
// matches everything.
type Rule struct {
	ID          int           // given by Set.Add, from 1
	Kind        Kind          //
	Command     string        // pattern of canonical command names
	Node        string        // pattern of node ids; the host's id matches too
	Transport   string        // tcp, udp or tls; empty: all
	Probability float64       // 0 < p ≤ 1
	Next        int           // only the next N requests that it meets; 0: all
	Delay       time.Duration // delay, hang, slow-close, slice
	Jitter      time.Duration // delay: ± at most this
	Bytes       int           // cut, reset: after so many; garbage: so many; slice: pieces of
	Rate        int           // drip: bytes a second
	To          string        // redirect: host[:vnode]
}

// Parse reads `KIND [key=value]…`; keys are command, node, transport, p, next, delay, jitter, bytes,
// rate, to. It is the form of the command line, the testbed file and the management API.
func Parse(spec string) (Rule, error) {
	words := strings.Fields(spec)
	if len(words) == 0 {
		return Rule{}, fmt.Errorf("fault: want KIND [key=value]…, KIND one of %s", kindNames())
	}
	i := slices.IndexFunc(kinds(), func(k kind) bool { return string(k.Kind) == words[0] || k.Alias != "" && k.Alias == words[0] })
	if i < 0 {
		return Rule{}, fmt.Errorf("fault %q: want a kind, one of %s", words[0], kindNames())
	}
	r := Rule{Kind: kinds()[i].Kind, Probability: 1}
	given := map[string]bool{}
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return Rule{}, fmt.Errorf("fault %s: %q: want key=value", r.Kind, word)
		}
		if given[key] {
			return Rule{}, fmt.Errorf("fault %s: %s is given twice", r.Kind, key)
		}
		given[key] = true
		if err := r.set(key, value); err != nil {
			return Rule{}, fmt.Errorf("fault %s: %s=%q: %w", r.Kind, key, value, err)
		}
	}
	if need := kinds()[i].Needs; need != "" && !given[need] {
		return Rule{}, fmt.Errorf("fault %s: want %s=…", r.Kind, need)
	}
	return r, nil
}

func kindNames() string {
	var names []string
	for _, k := range kinds() {
		names = append(names, string(k.Kind))
	}
	return strings.Join(names, ", ")
}

// maxDelay bounds what a rule can hold up: longer is what hang is for.
const maxDelay = time.Hour

func (r *Rule) set(key, value string) (err error) {
	switch key {
	case "command":
		r.Command, err = commands(value)
	case "node":
		r.Node, err = pattern(value)
	case "transport":
		r.Transport = value
		if !slices.Contains([]string{"tcp", "udp", "tls"}, value) {
			err = fmt.Errorf("want tcp, udp or tls")
		}
	case "p":
		r.Probability, err = probability(value)
	case "next":
		r.Next, err = number(value, 1, 1<<30)
	case "delay":
		r.Delay, err = duration(value)
	case "jitter":
		r.Jitter, err = duration(value)
	case "bytes":
		r.Bytes, err = number(value, 0, 1<<30)
	case "rate":
		r.Rate, err = number(value, 1, 1<<30)
	case "to":
		r.To = value
		if value == "" || len(value) > 255 {
			err = fmt.Errorf("want host or host:vnode")
		}
	default:
		err = fmt.Errorf("no such key; want command, node, transport, p, next, delay, jitter, bytes, rate or to")
	}
	return err
}

func pattern(value string) (string, error) {
	if _, err := path.Match(value, ""); err != nil || value == "" {
		return "", fmt.Errorf("want a pattern, like pcvm1-*")
	}
	return value, nil
}

func probability(value string) (float64, error) {
	p, err := strconv.ParseFloat(value, 64)
	if err != nil || !(0 < p && p <= 1) {
		return 0, fmt.Errorf("want a number above 0, 1 at most")
	}
	return p, nil
}

func number(value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a number from %d to %d", low, high)
	}
	return n, nil
}

func duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxDelay {
		return 0, fmt.Errorf("want a time like 1.5s, %v at most", maxDelay)
	}
	return d, nil
}

// String prints r in the form that Parse reads.
func (r Rule) String() string {
	words := []string{string(r.Kind)}
	needs := ""
	if i := slices.IndexFunc(kinds(), func(k kind) bool { return k.Kind == r.Kind }); i >= 0 {
		needs = kinds()[i].Needs // Parse wants it, nought too
	}
	add := func(key, value, none string) {
		if value != none || key == needs {
			words = append(words, key+"="+value)
		}
	}
	add("command", r.Command, "")
	add("node", r.Node, "")
	add("transport", r.Transport, "")
	add("p", strconv.FormatFloat(r.Probability, 'g', -1, 64), "1")
	add("next", strconv.Itoa(r.Next), "0")
	add("delay", r.Delay.String(), "0s")
	add("jitter", r.Jitter.String(), "0s")
	add("bytes", strconv.Itoa(r.Bytes), "0")
	add("rate", strconv.Itoa(r.Rate), "0")
	add("to", r.To, "")
	return strings.Join(words, " ")
}

// MarshalJSON writes id and text form.
func (r Rule) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID   int    `json:"id"`
		Rule string `json:"rule"`
	}{r.ID, r.String()})
}

// early: the kinds that happen before a request is read, when only the host is known.
func (k Kind) early() bool { return k == Down || k == WrongCert }

// meets reports whether r is meant for a. A rule for a command can't meet a connection that has not
// said one yet.
func (r Rule) meets(a Ask) bool {
	if r.Kind.early() != a.Early {
		return false
	}
	if !a.Early && !match(r.Command, a.Command) {
		return false
	}
	return (r.Transport == "" || r.Transport == a.Transport) && (match(r.Node, a.Node) || match(r.Node, a.Host))
}

func match(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
