// Package recorded reads exchanges that were recorded from Emulab's tmcd and
// compares answers with them, by the rules of testdata/vectors/README.md: byte
// for byte, but for commands whose order of lines means nothing.
//
//	recs, err := recorded.Load("tmcd.jsonl")
//	for _, r := range recs {
//		if r.Comparable() && !r.Equal(got) { fmt.Print(r.Diff(got)) }
//	}
//
// It knows nothing of how an answer is made: package answer's tests give it
// what [answer.Answer] returns, `tmcd-mock replay` what came over a socket.
package recorded

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Record is one recorded exchange.
type Record struct {
	ID, Group string
	Transport string     // tcp, udp, ssl
	Source    netip.Addr // the address that the client sends from
	Sends     []Send     // what the client sends, with the pauses between
	HalfOpen  bool       // the client doesn't shut down its side
	Reply     []byte
	End       string        // eof, reset, epipe, datagram, no-datagram
	Took      time.Duration // if it took long on purpose
	Tables    []string      // that the original wrote
	Scenario  string        // records of one scenario follow each other on one database
	Crash     bool          // the original died: the reply is no model
	Random    string        // why the reply isn't compared
	Site      string        // isolate_admins, no_shared_fs, or "": the site switch that is on
	From, To  string        // VERSIONs that all got this reply
}

// Send is a piece of a request.
type Send struct {
	After time.Duration // wait before it
	Bytes []byte
}

// wire is a line of the file.
type wire struct {
	ID        string `json:"id"`
	Group     string `json:"group"`
	Binary    string `json:"binary"`
	Transport string `json:"transport"`
	SrcIP     string `json:"src_ip"`
	Request   string `json:"request"`
	Repeat    *struct {
		Head  string `json:"head"`
		Byte  string `json:"byte"`
		Total int    `json:"total"`
	} `json:"request_repeat"`
	Chunks      []json.RawMessage `json:"chunks"`
	NoShutdown  bool              `json:"no_shutdown"`
	Reply       string            `json:"reply"`
	ReplyB64    string            `json:"reply_b64"`
	ReplyLen    int               `json:"reply_len"`
	End         string            `json:"end"`
	Seconds     float64           `json:"seconds"`
	Tables      []string          `json:"db_tables"`
	Scenario    string            `json:"scenario"`
	Crash       bool              `json:"server_crash"`
	Random      string            `json:"nondeterministic"`
	VersionFrom json.RawMessage   `json:"version_from"`
	VersionTo   json.RawMessage   `json:"version_to"`
}

// Load reads a file of records.
func Load(path string) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	defer f.Close()
	recs, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return recs, nil
}

// Read reads records, one JSON object a line. An error begins with the line's
// number.
func Read(r io.Reader) ([]Record, error) {
	const longest = 8 << 20
	var recs []Record
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), longest)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var w wire
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			return nil, fmt.Errorf("%d: expected a record: %w", n, err)
		}
		rec, err := w.record()
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		recs = append(recs, rec)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", len(recs)+1, err)
	}
	return recs, nil
}

func (w *wire) record() (Record, error) {
	r := Record{ID: w.ID, Group: w.Group, Transport: w.Transport, HalfOpen: w.NoShutdown, End: w.End,
		Took: time.Duration(w.Seconds * float64(time.Second)), Tables: w.Tables, Scenario: w.Scenario,
		Crash: w.Crash, Random: w.Random, From: version(w.VersionFrom), To: version(w.VersionTo)}
	var err error
	if r.Source, err = netip.ParseAddr(w.SrcIP); err != nil {
		return r, fmt.Errorf("src_ip: %w", err)
	}
	switch w.Binary {
	case "original", "nullsafe-patch":
	case "isoadmin":
		r.Site = "isolate_admins"
	case "nosharedfs":
		r.Site = "no_shared_fs"
	default:
		return r, fmt.Errorf("unknown binary %q", w.Binary)
	}
	if r.Reply, err = base64.StdEncoding.DecodeString(w.ReplyB64); err != nil {
		return r, fmt.Errorf("reply_b64: %w", err)
	}
	if w.ReplyB64 == "" {
		r.Reply = latin1(w.Reply)
	}
	if len(r.Reply) != w.ReplyLen {
		return r, fmt.Errorf("%s: reply of %d bytes, reply_len says %d", w.ID, len(r.Reply), w.ReplyLen)
	}
	r.Sends, err = w.sends()
	return r, err
}

func (w *wire) sends() ([]Send, error) {
	switch {
	case w.Repeat != nil:
		b := latin1(w.Repeat.Head)
		pad := latin1(w.Repeat.Byte)
		if len(pad) != 1 {
			return nil, fmt.Errorf("%s: request_repeat wants one byte", w.ID)
		}
		for len(b) < w.Repeat.Total {
			b = append(b, pad[0])
		}
		return []Send{{Bytes: b}}, nil
	case len(w.Chunks) == 0:
		return []Send{{Bytes: latin1(w.Request)}}, nil
	}
	var out []Send
	var wait time.Duration
	for _, raw := range w.Chunks {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			out = append(out, Send{wait, latin1(text)})
			wait = 0
			continue
		}
		var pause struct{ Sleep float64 }
		if err := json.Unmarshal(raw, &pause); err != nil {
			return nil, fmt.Errorf("%s: chunks: %w", w.ID, err)
		}
		wait += time.Duration(pause.Sleep * float64(time.Second))
	}
	return out, nil
}

// latin1 makes a byte of each character.
func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

func version(raw json.RawMessage) string {
	var n int
	if json.Unmarshal(raw, &n) == nil && len(raw) > 0 && string(raw) != "null" {
		return strconv.Itoa(n)
	}
	return ""
}

// Comparable reports whether the reply is a model for others.
func (r *Record) Comparable() bool { return !r.Crash && r.Random == "" }

// Request is all that the client sends, put together.
func (r *Record) Request() []byte {
	var b []byte
	for _, s := range r.Sends {
		b = append(b, s.Bytes...)
	}
	return b
}
