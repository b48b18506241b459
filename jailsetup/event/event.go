// Package event has the values that an experiment's events are, and the key
// that proves them. No transport: a hub carries lines from somewhere to an
// agent, and neither side needs to know how.
//
//	e := event.Event{Experiment: "jails/demo", Object: "cbr0", Type: event.TrafGen, Action: "START", Args: "RATE=1000"}
//	line := e.Sign(key).Append(nil)         // one JSON line
//	e, err := event.Parse(line)
//	err = guard.Check(e, time.Now())        // key, experiment, time, sequence (Guard)
//
// The key (tmcd's eventkey) proves the experiment and no more: every node of
// the experiment has it (peers.md T46). Who sent an event is known to the hub
// from the socket; it writes From over whatever the sender has said.
//
// Everything here is light: injail links it.
package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Object types, as Emulab names them.
const (
	TrafGen = "TRAFGEN"
	Program = "PROGRAM"
	Time    = "TIME"
	Node    = "NODE"
)

// MaxLine is the longest line, newline included.
const MaxLine = 64 << 10

// Event is one thing told to one object of an experiment.
type Event struct {
	Experiment string    `json:"experiment"`     // pid/eid
	Object     string    `json:"object"`         // name in the topology
	Type       string    `json:"type"`           // one of the object types
	Action     string    `json:"action"`         // START, STOP, MODIFY, …
	Args       string    `json:"args,omitempty"` // KEY=VALUE words
	Time       time.Time `json:"time"`           // when it was sent
	Seq        uint64    `json:"seq"`            // grows with each event of a sender's life
	Sender     uint64    `json:"sender"`         // chosen at random when the sender begins: Seq counts within it
	From       string    `json:"from,omitempty"` // the vnode it came from, as the hub knows; empty: the operator
	MAC        string    `json:"mac,omitempty"`  // hex HMAC-SHA256 of all above
}

// Parse reads one line. Unknown keys are passed over.
func Parse(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, fmt.Errorf("event of %d bytes: at most %d", len(line), MaxLine)
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	if e.Object == "" && e.Type != Time || e.Action == "" {
		return Event{}, errors.New("event: object and action are needed")
	}
	return e, nil
}

// Append renders the event as one line, newline included.
func (e Event) Append(dst []byte) []byte {
	line, err := json.Marshal(e)
	if err != nil { // strings, a number, and a time that Parse or time.Now made
		line = fmt.Appendf(nil, "{%q:%q}", "error", err)
	}
	return append(append(dst, line...), '\n')
}

// Sign returns the event with its MAC set. An empty key signs nothing.
func (e Event) Sign(key []byte) Event {
	e.MAC = ""
	if len(key) > 0 {
		e.MAC = hex.EncodeToString(e.sum(key))
	}
	return e
}

// Verify says whether the MAC was made with the key.
func (e Event) Verify(key []byte) bool {
	mac, err := hex.DecodeString(e.MAC)
	return err == nil && hmac.Equal(mac, e.sum(key))
}

// sum goes over the values, each with its length before it, not over the
// line: how JSON is spelled is the transport's affair.
func (e Event) sum(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	number := func(v uint64) {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	for _, s := range []string{e.Experiment, e.Object, e.Type, e.Action, e.Args, e.From} {
		number(uint64(len(s)))
		h.Write([]byte(s))
	}
	number(uint64(e.Time.UnixNano()))
	number(e.Seq)
	number(e.Sender)
	return h.Sum(nil)
}
