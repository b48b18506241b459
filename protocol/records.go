package protocol

import (
	"bytes"
	"errors"
)

// Records is a reply of KEY=VALUE lines without types of their own here: hwinfo,
// emulabconfig, storageconfig, bridges and a few more.
type Records []Record

// Record is a line: a tag such as NETUNIT, or none, and its words in order.
type Record struct {
	Tag   string
	Words Extra
}

// ParseRecords reads a reply of KEY=VALUE lines.
func ParseRecords(b []byte) (Records, error) {
	var all Records
	err := eachRecord(b, func(c *codec) error {
		if len(c.words) == 0 && len(c.tag) != len(c.line) {
			return errNotWord
		}
		r := Record{Tag: c.tag}
		for _, w := range c.words {
			r.Words = append(r.Words, Word{w.key, c.line[w.start:w.end]})
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// Append renders the reply.
func (r Records) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	for i := range r {
		c.begin(r[i].Tag)
		c.extra(&r[i].Words)
		c.end()
	}
	return c.dst
}

// Text is a reply that is passed on as it is: what users wrote (nseconfigs),
// compressed maps (topomap, ltmap, ltpmap), and families that no node asks for
// any more.
type Text []byte

// ParseText takes any reply. It is a copy of b.
func ParseText(b []byte) (Text, error) { return bytes.Clone(b), nil }

// Append renders the reply.
func (t Text) Append(dst []byte, _ int) []byte { return append(dst, t...) }

// GENI is the reply to a geni_ command, the only family with error replies.
type GENI struct {
	Failed bool
	Data   string // the value, or with Failed the reason
}

// ParseGENI reads the reply to a geni_ command. An empty one is ErrEmptyReply.
func ParseGENI(b []byte) (GENI, error) {
	if len(b) == 0 {
		return GENI{}, ErrEmptyReply
	}
	data, ok := bytes.CutPrefix(b, []byte{0})
	if !ok {
		return GENI{}, errors.New("reply doesn't begin with NUL")
	}
	data, whole := bytes.CutSuffix(data, []byte{'\n'})
	if !whole {
		return GENI{}, ErrCutOff
	}
	reason, failed := bytes.CutPrefix(data, []byte{0})
	return GENI{Failed: failed, Data: string(reason)}, nil
}

// Append renders the reply.
func (g GENI) Append(dst []byte, _ int) []byte {
	dst = append(dst, 0)
	if g.Failed {
		dst = append(dst, 0)
	}
	dst = append(dst, g.Data...)
	return append(dst, '\n')
}
