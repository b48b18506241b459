package protocol

import (
	"errors"
	"fmt"
)

// MaxLines bounds the lines of a reply that the parsers take, and with it what
// they allocate.
const MaxLines = 1 << 16

// maxLineErrors bounds the lines that one error names.
const maxLineErrors = 16

var (
	// ErrEmptyReply means that tmcd said nothing, where nothing has no meaning:
	// it doesn't know the node, refuses, or went wrong.
	ErrEmptyReply = errors.New("empty reply")
	// ErrCutOff means that a reply doesn't end with a line end. Its last line is
	// not believed.
	ErrCutOff = errors.New("line is cut off")
	// ErrTooManyLines means that a reply has more than MaxLines lines.
	ErrTooManyLines = fmt.Errorf("reply has more than %d lines", MaxLines)
)

// Reply is what the typed replies have in common: they render as tmcd of that
// VERSION writes them. Version 0 stands for a request without VERSION=.
type Reply interface {
	Append(dst []byte, version int) []byte
}

// Word is a KEY=VALUE that this package has no field for. Raw is the value with
// its quotes.
type Word struct{ Key, Raw string }

// Value is the word's value without quotes around it.
func (w Word) Value() string {
	n := len(w.Raw)
	if n >= 2 && (w.Raw[0] == '\'' || w.Raw[0] == '"') && w.Raw[n-1] == w.Raw[0] {
		return w.Raw[1 : n-1]
	}
	return w.Raw
}

// Extra holds the words of a line that this package doesn't know, in order.
// They are written back at the end of the line.
type Extra []Word

// Get returns the value of the first word with this key.
func (e Extra) Get(key string) (string, bool) {
	for _, w := range e {
		if w.Key == key {
			return w.Value(), true
		}
	}
	return "", false
}

// LineError says which line of a reply can't be read, and why. A parser's error
// joins at most 16 of them; its result holds all other lines.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }
