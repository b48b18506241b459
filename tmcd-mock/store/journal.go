package store

import (
	"context"
	"sync"
	"time"
)

// Event is a line of the journal. Kind says which fields count.
type Event struct {
	Seq  uint64    `json:"seq"` // from 1, without gaps
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`

	Node string `json:"node,omitempty"` // who it is about, once known
	Text Text   `json:"text,omitempty"` // of a report, a deed of the timeline, a reload

	*Request `json:",omitempty"`
}

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	RequestEvent EventKind = "request" // somebody asked; Request is set
	ReportEvent  EventKind = "report"  // a node's state changed; Text is the state
	ChangeEvent  EventKind = "change"  // somebody changed the testbed, or the timeline did
	ReloadEvent  EventKind = "reload"  // the testbed was read again
)

// Request is one exchange, without the arguments, which may hold keys.
type Request struct {
	Source    string  `json:"source"`             // address that identifies the host
	Balancer  string  `json:"balancer,omitempty"` // who said so, when it came with a PROXY header
	Claim     string  `json:"claim,omitempty"`    // vnode id in that header: for people, never believed
	Transport string  `json:"transport"`          // tcp, tls, udp
	Host      string  `json:"host,omitempty"`
	As        string  `json:"as,omitempty"` // VNODEID or PROXYFOR, when one of them named the node
	Version   int     `json:"version"`
	Command   string  `json:"command"`           // canonical; "?" when there is none such
	Unknown   bool    `json:"unknown,omitempty"` // a command was named that there isn't
	Received  int     `json:"received"`          // bytes
	Sent      int     `json:"sent"`
	Outcome   Outcome `json:"outcome"`
	Why       Text    `json:"why,omitempty"`
	Fault     string  `json:"fault,omitempty"` // trouble that was made on demand
	Seconds   float64 `json:"seconds"`
}

// Outcome is how an exchange ended.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // bytes were sent
	Empty    Outcome = "empty"    // answered; there is nothing to say
	Refused  Outcome = "refused"  // silence, for the reason in Why
	Failed   Outcome = "failed"   // the client went away, or didn't read
)

// JournalSize is how many events are kept; older ones are gone.
const JournalSize = 10_000

// Journal is a ring of the last events. All methods may be called at once by many goroutines.
type Journal struct {
	mu   sync.Mutex
	ring []Event
	next uint64        // sequence number of the next event
	more chan struct{} // closed when an event comes
}

// NewJournal returns an empty journal.
func NewJournal() *Journal { return &Journal{next: 1, more: make(chan struct{})} }

// Add gives e its number and keeps it.
func (j *Journal) Add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Seq = j.next
	j.next++
	if len(j.ring) < JournalSize {
		j.ring = append(j.ring, e)
	} else {
		j.ring[int((e.Seq-1)%JournalSize)] = e
	}
	close(j.more)
	j.more = make(chan struct{})
}

// Since returns the events from number seq on that are still kept, oldest first.
func (j *Journal) Since(seq uint64) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	oldest := j.next - uint64(len(j.ring))
	var events []Event
	for n := max(seq, oldest); n < j.next; n++ {
		events = append(events, j.ring[int((n-1)%JournalSize)])
	}
	return events
}

// Next returns the number that the next event will have.
func (j *Journal) Next() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// Wait returns when there is an event of number seq or later, or with ctx's error.
func (j *Journal) Wait(ctx context.Context, seq uint64) error {
	for {
		j.mu.Lock()
		more, next := j.more, j.next
		j.mu.Unlock()
		if next > seq {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
