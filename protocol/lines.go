package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// record is anything whose words a codec carries.
type record[T any] interface {
	*T
	fields(*codec)
}

// parseRecords reads lines that all have the same tag. Those that can't be read
// are left out of the result and named in the error.
func parseRecords[T any, P record[T]](b []byte, tag string) ([]T, error) {
	var all []T
	err := eachRecord(b, func(c *codec) error {
		var err error
		all, err = addRecord[T, P](c, tag, all)
		return err
	})
	return all, err
}

// addRecord appends what the codec's current line says.
func addRecord[T any, P record[T]](c *codec, tag string, all []T) ([]T, error) {
	if c.tag != tag {
		return all, unexpected(c.tag)
	}
	var zero T
	more := append(all, zero)
	P(&more[len(all)]).fields(c)
	if c.err != nil {
		return all, c.err
	}
	return more, nil
}

// parseRecord reads a reply of one line. An empty reply is the zero value; a
// second line is an error.
func parseRecord[T any, P record[T]](b []byte, tag string) (T, error) {
	var one T
	all, err := parseRecords[T, P](b, tag)
	if len(all) > 1 {
		err = errors.Join(err, &LineError{Line: 2, Err: errors.New("one line was expected")})
	}
	if len(all) > 0 {
		one = all[0]
	}
	return one, err
}

func unexpected(tag string) error {
	if tag == "" {
		return errors.New("line begins without its tag")
	}
	return fmt.Errorf("unexpected %q", clip(tag))
}

// appendRecords appends a line for each record.
func appendRecords[T any, P record[T]](dst []byte, version int, tag string, all []T) []byte {
	c := renderer(dst, version)
	for i := range all {
		c.begin(tag)
		P(&all[i]).fields(&c)
		c.end()
	}
	return c.dst
}

// appendRecord appends one line.
func appendRecord[T any, P record[T]](dst []byte, version int, tag string, one P) []byte {
	c := renderer(dst, version)
	c.begin(tag)
	one.fields(&c)
	c.end()
	return c.dst
}

// eachLine calls fn with every line of b.
func eachLine(b []byte, fn func(line string) error) error {
	var errs []error
	text := string(b)
	for n := 1; text != ""; n++ {
		if n > MaxLines {
			errs = append(errs, ErrTooManyLines)
			break
		}
		line, rest, whole := strings.Cut(text, "\n")
		text = rest
		err := ErrCutOff
		if whole {
			err = fn(line)
		}
		if err != nil && len(errs) < maxLineErrors {
			errs = append(errs, &LineError{Line: n, Err: err})
		}
	}
	return errors.Join(errs...)
}

// eachRecord calls fn with a codec that stands on each line of KEY=VALUE words.
func eachRecord(b []byte, fn func(*codec) error) error {
	c := codec{parsing: true}
	return eachLine(b, func(line string) error {
		if err := c.load(line); err != nil {
			return err
		}
		return fn(&c)
	})
}
