// Package expect judges what happened at a tmcd by sentences, for scripts:
//
//	pcvm1-1 ISUP within 60s              a node's state, now or within a time
//	pcvm1-1 asks accounts within 10s     a request that was answered, since the server's start
//	pcvm1-1 reports bootlog within 10s   a report
//	no unknown command                   none so far, nor while the others wait
//	no refused request
//	no failed request                    an answer that the client didn't take
//	no secret over UDP                   no key, hash or tunnel secret in an unencrypted datagram
//
// Any "no" may end in "for 10s": then nothing of the kind may happen in that time either. A node may be a
// pattern (pcvm1-*): then one node of it is enough for "asks" and "reports", and all must be in the state.
//
//	e, err := expect.Parse("pcvm1-1 ISUP within 60s")
//	e.Start(nodes)          // as they are now
//	e.See(event)            // each event of the journal
//	e.Verdict(elapsed)      // Open, Met or Broken
//
// It only judges; reading the journal is its user's business.
package expect

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/store"
)

// Verdict is how an expectation stands.
type Verdict int

// The verdicts.
const (
	Open   Verdict = iota // time will tell
	Met                   // and stays so, unless it is a "no"
	Broken                // for good
)

// Expectation is one sentence. It is not safe for use by several goroutines.
type Expectation struct {
	Text   string
	Within time.Duration // how long it may take, or how long a "no" must hold
	never  bool          // a "no"

	hit    func(store.Event) bool // the event that meets, or breaks, it
	node   string                 // state: pattern of nodes
	state  string
	states map[string]string // of the nodes that match
	seen   string            // the first hit, in words
}

// Parse reads a sentence.
func Parse(text string) (*Expectation, error) {
	words := strings.Fields(text)
	e := &Expectation{Text: strings.Join(words, " ")}
	bad := func(want string) (*Expectation, error) {
		return nil, fmt.Errorf("expectation %q: want %s", text, want)
	}
	if n := len(words); n > 2 && (words[n-2] == "within" || words[n-2] == "for") {
		d, err := time.ParseDuration(words[n-1])
		if err != nil || d < 0 {
			return bad("a time like 60s after " + words[n-2])
		}
		if (words[n-2] == "for") != (words[0] == "no") {
			return bad(`"within TIME" after what shall happen, "for TIME" after what shall not`)
		}
		e.Within, words = d, words[:n-2]
	}
	switch {
	case len(words) > 1 && words[0] == "no":
		e.never = true
		what := strings.ToLower(strings.Join(words[1:], " "))
		hit, ok := nevers()[what]
		if !ok {
			return bad("no " + strings.Join(slices.Sorted(maps.Keys(nevers())), ", no "))
		}
		e.hit = hit
	case len(words) == 2:
		if !slices.Contains(states(), words[1]) {
			return bad(fmt.Sprintf("a state instead of %s: %s", words[1], strings.Join(states(), ", ")))
		}
		e.node, e.state, e.states = words[0], words[1], map[string]string{}
	case len(words) == 3 && words[1] == "asks":
		command, ok := protocol.Lookup(words[2])
		if !ok || command.Name != words[2] {
			return bad("a command of tmcd after asks")
		}
		e.hit = func(ev store.Event) bool {
			return ev.Request != nil && ev.Command == words[2] && match(words[0], ev.Node) && (ev.Outcome == store.Answered || ev.Outcome == store.Empty)
		}
	case len(words) == 3 && words[1] == "reports":
		if command, ok := protocol.Lookup(words[2]); !ok || command.Name != words[2] {
			return bad("a command that reports, like bootlog or startstatus, after reports")
		}
		e.hit = func(ev store.Event) bool {
			return ev.Request != nil && ev.Command == words[2] && match(words[0], ev.Node) && ev.Received > 0 && ev.Outcome == store.Empty
		}
	default:
		return bad(`NODE STATE [within TIME], NODE asks COMMAND, NODE reports KIND, or no THING [for TIME]`)
	}
	if _, err := path.Match(words[0], ""); err != nil {
		return bad("a pattern like pcvm1-* for nodes")
	}
	return e, nil
}

// states are those that a vnode can be in (spec jail.md §3.3): a jail's, then
// those of generic vnodes, which load disks.
func states() []string {
	return []string{"BOOTING", "TBSETUP", "ISUP", "SHUTDOWN", "TBFAILED", "RELOADSETUP", "RELOADING", "RELOADDONE", "RELOADFAILED"}
}

// nevers are the things that shall not happen.
func nevers() map[string]func(store.Event) bool {
	request := func(f func(store.Event) bool) func(store.Event) bool {
		return func(e store.Event) bool { return e.Request != nil && f(e) }
	}
	return map[string]func(store.Event) bool{
		"unknown command": request(func(e store.Event) bool { return e.Unknown }),
		"refused request": request(func(e store.Event) bool { return e.Outcome == store.Refused && e.Fault == "" }),
		"failed request":  request(func(e store.Event) bool { return e.Outcome == store.Failed && e.Fault == "" }),
		"secret over udp": request(func(e store.Event) bool {
			return e.Transport == "udp" && e.Sent > 0 && slices.Contains(secrets(), e.Command)
		}),
	}
}

// secrets are the commands whose answers hold keys, password hashes or secrets of tunnels.
func secrets() []string {
	return []string{"accounts", "keyhash", "eventkey", "plabeventkeys", "tunnels", "tiptunnels", "rootpswd",
		"jailconfig", "fullconfig", "ipodinfo", "imagekey", "geni_key", "geni_all", "tpmblob"}
}

func match(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil && name != ""
}

// Start tells e the states of all nodes, by id, before the events.
func (e *Expectation) Start(states map[string]string) error {
	if e.states == nil {
		return nil
	}
	for id, state := range states {
		if match(e.node, id) {
			e.states[id] = state
		}
	}
	if len(e.states) == 0 {
		return fmt.Errorf("expectation %q: the testbed has no such node", e.Text)
	}
	return nil
}

// See tells e of an event.
func (e *Expectation) See(ev store.Event) {
	if e.states != nil {
		if _, ours := e.states[ev.Node]; ours && ev.Kind == store.ReportEvent {
			e.states[ev.Node] = string(ev.Text)
		}
		return
	}
	if e.seen == "" && e.hit(ev) {
		e.seen = Describe(ev)
	}
}

// Verdict says how e stands after so much time.
func (e *Expectation) Verdict(elapsed time.Duration) Verdict {
	met := e.seen != ""
	if e.states != nil {
		met = len(e.waiting()) == 0
	}
	switch {
	case e.never && met:
		return Broken
	case e.never && elapsed < e.Within, !e.never && !met && elapsed < e.Within:
		return Open
	case e.never || met:
		return Met
	}
	return Broken
}

// waiting lists the nodes that are in another state, with it.
func (e *Expectation) waiting() []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(e.states)) {
		if e.states[id] != e.state {
			list = append(list, fmt.Sprintf("%s is in %s", id, orNone(e.states[id])))
		}
	}
	return list
}

func orNone(state string) string {
	if state == "" {
		return "no state"
	}
	return store.Text(state).Escaped(false)
}

// Why says in words what broke e.
func (e *Expectation) Why() string {
	switch {
	case e.states != nil:
		return strings.Join(e.waiting(), ", ")
	case e.never:
		return e.seen
	}
	return "it didn't happen"
}

// Describe is an event in one line, for people.
func Describe(e store.Event) string {
	if e.Request == nil {
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Kind, e.Node, e.Text.Escaped(false)))
	}
	who := e.Node
	if who == "" {
		who = e.Source
	}
	text := fmt.Sprintf("%s %s over %s: %s", who, e.Command, e.Transport, e.Outcome)
	if e.Why != "" {
		text += ", " + e.Why.Escaped(false)
	}
	return text
}
