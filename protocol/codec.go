package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// codec carries one list of fields both ways. A record's method
//
//	func (u *User) fields(c *codec) { c.text("LOGIN", &u.Login); … }
//
// names its words once, in the order of the wire: a rendering codec appends them
// to dst, a parsing one looks each up among the words of the current line.
type codec struct {
	parsing bool

	dst     []byte
	version int
	began   bool // the line has something on it already

	tag   string
	line  string
	words []word
	next  int      // where the next word probably is
	keys  []string // those that fields took
	err   error
}

// renderer is a codec that appends to dst, for a client of that version.
func renderer(dst []byte, version int) codec {
	if version == 0 {
		version = DefaultVersion
	}
	return codec{dst: dst, version: version}
}

// begin starts a line with its tag, or with nothing.
func (c *codec) begin(tag string) {
	c.dst = append(c.dst, tag...)
	c.began = tag != ""
}

func (c *codec) end() { c.dst = append(c.dst, '\n') }

// since and until tell whether the next fields exist in the version asked for.
// A parsing codec takes the words of all versions.
func (c *codec) since(version int) bool { return c.parsing || c.version >= version }
func (c *codec) until(version int) bool { return c.parsing || c.version <= version }

// need makes a line an error that lacks one of the words.
func (c *codec) need(keys ...string) {
	if !c.parsing {
		return
	}
	for _, key := range keys {
		if c.find(key) < 0 {
			c.fail(fmt.Errorf("no %s=", key))
		}
	}
}

// must is need for words that may not be empty either.
func (c *codec) must(keys ...string) {
	c.need(keys...)
	for _, key := range keys {
		if !c.parsing || c.err != nil {
			return
		}
		w := c.words[c.find(key)]
		if (Word{Raw: c.line[w.start:w.end]}).Value() == "" {
			c.fail(fmt.Errorf("%s= is empty", key))
		}
	}
}

func (c *codec) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// find is the index of the word with this key, or -1.
func (c *codec) find(key string) int {
	for n := range c.words {
		i := c.next + n
		if i >= len(c.words) {
			i -= len(c.words)
		}
		if c.words[i].key == key {
			return i
		}
	}
	return -1
}

// take finds a word and marks it and gives its value as it stands in the line.
func (c *codec) take(key string) (string, bool) {
	i := c.find(key)
	if i < 0 {
		return "", false
	}
	c.words[i].used = true
	c.keys = append(c.keys, key)
	c.next = i + 1
	return c.line[c.words[i].start:c.words[i].end], true
}

// text is KEY=value, the value without quotes.
func (c *codec) text(key string, p *string) {
	if !c.parsing {
		c.key(key)
		c.value(*p)
	} else if raw, ok := c.take(key); ok {
		*p = raw
	}
}

// option is text that is left out when it is empty.
func (c *codec) option(key string, p *string) {
	if c.parsing || *p != "" {
		c.text(key, p)
	}
}

// quoted is KEY='value' or KEY="value". Without quotes it is read as well:
// early versions sent some so.
func (c *codec) quoted(key string, quote byte, p *string) {
	if !c.parsing {
		c.key(key)
		c.dst = append(c.dst, quote)
		c.value(*p)
		c.dst = append(c.dst, quote)
		return
	}
	raw, ok := c.take(key)
	if !ok {
		return
	}
	c.unquote(key, quote, raw, p)
}

// free is quoted text that people write: it may hold its own quote and even
// what looks like the next KEY=. It goes to the last quote that can close it.
func (c *codec) free(key string, quote byte, p *string) {
	if c.parsing {
		c.widen(key, quote)
	}
	c.quoted(key, quote, p)
}

// widen lets the word of key swallow those after it up to the last one with a
// stray quote, if the word itself begins with the quote. Any other stray quote
// is an error, but for fields that stand before this one anyway.
func (c *codec) widen(key string, quote byte) {
	i, last := c.find(key), -1
	opened := i >= 0 && c.words[i].start < len(c.line) && c.line[c.words[i].start] == quote
	for j, w := range c.words {
		switch {
		case j == i || !c.stray(j, quote):
		case w.used && (j < i || !opened):
		case opened && j > i && !w.used:
			last = j
		default:
			c.fail(fmt.Errorf("%s=: quote is not opened", w.key))
			return
		}
	}
	if last > i {
		c.swallow(i, last)
	}
}

// swallow makes the words after i, up to j, part of word i.
func (c *codec) swallow(i, j int) {
	for _, w := range c.words[i+1 : j+1] {
		if w.used {
			c.fail(fmt.Errorf("%s= is out of order", w.key))
			return
		}
	}
	c.words[i].end = c.words[j].end
	c.words = append(c.words[:i+1], c.words[j+1:]...)
}

// stray reports whether the word ends with the quote without being a plain
// quoted value of its own.
func (c *codec) stray(i int, quote byte) bool {
	raw := c.line[c.words[i].start:c.words[i].end]
	if raw == "" || raw[len(raw)-1] != quote {
		return false
	}
	return raw[0] != quote || strings.Count(raw, string(quote)) != 2
}

func (c *codec) unquote(key string, quote byte, raw string, p *string) {
	switch {
	case raw == "" || raw[0] != '\'' && raw[0] != '"':
		*p = raw
	case raw[0] != quote:
		c.fail(fmt.Errorf("%s= has the wrong quotes", key))
	default:
		*p = raw[1 : len(raw)-1]
	}
}

// number is a decimal.
func (c *codec) number(key string, p *int) {
	if !c.parsing {
		c.key(key)
		c.dst = strconv.AppendInt(c.dst, int64(*p), 10)
		return
	}
	raw, ok := c.take(key)
	if !ok {
		return
	}
	n, err := strconv.Atoi(raw)
	if err != nil {
		c.fail(fmt.Errorf("%s=%q is not a number", key, clip(raw)))
		return
	}
	*p = n
}

// fixed is a decimal fraction with this many digits after the point.
func (c *codec) fixed(key string, digits int, p *float64) {
	if !c.parsing {
		c.key(key)
		c.dst = strconv.AppendFloat(c.dst, *p, 'f', digits, 64)
		return
	}
	raw, ok := c.take(key)
	if !ok {
		return
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err == nil && digits >= 0 { // keep what is sent on, so that it reads back the same
		f, err = strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
	}
	if err != nil || f-f != 0 {
		c.fail(fmt.Errorf("%s=%q is not a fraction", key, clip(raw)))
		return
	}
	*p = f
}

// flag is 0 or 1.
func (c *codec) flag(key string, p *bool) {
	if !c.parsing {
		c.key(key)
		c.dst = append(c.dst, '0'+b2i(*p))
		return
	}
	raw, ok := c.take(key)
	if !ok {
		return
	}
	if raw != "0" && raw != "1" {
		c.fail(fmt.Errorf("%s=%q is neither 0 nor 1", key, clip(raw)))
		return
	}
	*p = raw == "1"
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// extra keeps the words that no field took, so that they survive. It comes last.
func (c *codec) extra(p *Extra) {
	if !c.parsing {
		for i := range *p {
			w := &(*p)[i]
			c.key(w.Key)
			c.value(w.Raw)
		}
		return
	}
	for i := range c.words {
		w := &c.words[i]
		if w.used {
			continue
		}
		if c.taken(w.key) {
			c.fail(fmt.Errorf("%s= comes twice", w.key))
			return
		}
		*p = append(*p, Word{Key: w.key, Raw: c.line[w.start:w.end]})
	}
}

// taken reports whether a field took a word with this key.
func (c *codec) taken(key string) bool {
	for _, k := range c.keys {
		if k == key {
			return true
		}
	}
	return false
}

func (c *codec) key(key string) {
	if c.began {
		c.dst = append(c.dst, ' ')
	}
	c.began = true
	c.dst = append(c.dst, key...)
	c.dst = append(c.dst, '=')
}

// value appends a value. The protocol can't carry a line end inside one: it
// would begin a line of its own, so it is sent as a space.
func (c *codec) value(s string) {
	start := len(c.dst)
	c.dst = append(c.dst, s...)
	if strings.IndexByte(s, '\n') < 0 {
		return
	}
	for i := start; i < len(c.dst); i++ {
		if c.dst[i] == '\n' {
			c.dst[i] = ' '
		}
	}
}

// load makes line the current one.
func (c *codec) load(line string) error {
	c.line, c.next, c.keys, c.err = line, 0, c.keys[:0], nil
	if line == "" {
		return errEmptyLine
	}
	var err error
	c.tag, c.words, err = scanWords(line, c.words[:0])
	return err
}
