package protocol

import (
	"bytes"
	"encoding/json"
	"os"
	"sync"
	"testing"
)

// exchange is what these tests need of a line of the recorded exchanges.
type exchange struct {
	ID, Group string
	Transport string
	Source    string `json:"src_ip"`
	Request   string
	Repeat    *struct {
		Head, Byte string
		Total      int
	} `json:"request_repeat"`
	Chunks      []any
	Reply       string
	Base64      []byte `json:"reply_b64"`
	Crash       bool   `json:"server_crash"`
	VersionFrom *int   `json:"version_from"`
	VersionTo   *int   `json:"version_to"`

	DBTables []string `json:"db_tables"`

	Nondeterministic string
}

// exchanges are the recorded exchanges. Nobody changes them.
func exchanges(tb testing.TB) []exchange {
	tb.Helper()
	all, err := readExchanges()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

var readExchanges = sync.OnceValues(func() ([]exchange, error) {
	b, err := os.ReadFile("../testdata/vectors/tmcd.jsonl")
	if err != nil {
		return nil, err
	}
	var all []exchange
	for line := range bytes.Lines(b) {
		var e exchange
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
})

// latin1 gives the bytes of a string that has one character for each.
func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

// request is what the server's first read gets.
func (e *exchange) request() []byte {
	switch {
	case e.Repeat != nil:
		n := e.Repeat.Total - len(e.Repeat.Head)
		return append([]byte(e.Repeat.Head), bytes.Repeat([]byte(e.Repeat.Byte), n)...)
	case len(e.Chunks) > 0:
		first, _ := e.Chunks[0].(string)
		return latin1(first)
	}
	return latin1(e.Request)
}

func (e *exchange) reply() []byte {
	if e.Base64 != nil {
		return e.Base64
	}
	return latin1(e.Reply)
}

// versions are those that got this reply; 0 is a request without VERSION=.
func (e *exchange) versions(asked int) []int {
	if e.VersionTo == nil && e.VersionFrom == nil {
		return []int{asked}
	}
	from, to := 0, 0
	if e.VersionFrom != nil {
		from = *e.VersionFrom
	}
	if e.VersionTo != nil {
		to = *e.VersionTo
	}
	var all []int
	for v := from; v <= to; v++ {
		all = append(all, v)
	}
	return all
}
