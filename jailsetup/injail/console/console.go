// Package console is the language of "jailsetup enter": frames between the
// host and a jail's init over one stream socket per session.
//
// injail dials /run/emulab/console from inside, sends HELLO and waits. When
// the host has something to run it sends START; from then on the connection
// belongs to that session, and injail dials the next one:
//
//	jail → host   HELLO
//	host → jail   START, then STDIN … STDIN_EOF, WINCH, SIGNAL in any number
//	jail → host   STDOUT, STDERR in any number, then EXIT and end of file
//
// A frame is one byte of type, four bytes of length (big endian, at most
// [MaxPayload]) and the payload: raw bytes, or JSON where the type says so.
// Only these cross the wall, never a descriptor (design decision 7).
//
// Trust: to the host every frame is hostile, since jail root can write PID 1's
// memory. [ReadFrame] bounds what it reads; what the bytes say is for the
// caller to doubt. Deadlines are the caller's, on its connection.
package console

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxPayload is the longest payload of a frame, in bytes.
const MaxPayload = 65536

// headerSize is one byte of type and four of length.
const headerSize = 5

// Type says what a frame carries.
type Type byte

// The types of frame, with their payload and direction.
const (
	TypeStart    Type = 1 // Start, host to jail
	TypeStdin    Type = 2 // bytes, host to jail
	TypeStdinEOF Type = 3 // nothing, host to jail
	TypeStdout   Type = 4 // bytes, jail to host; everything when there is a tty
	TypeStderr   Type = 5 // bytes, jail to host
	TypeWinch    Type = 6 // Winch, host to jail
	TypeExit     Type = 7 // Exit, jail to host, the last
	TypeSignal   Type = 8 // Signal, host to jail
	TypeHello    Type = 9 // Hello, jail to host, the first
)

// String is the type's name, or its number.
func (t Type) String() string {
	names := [...]string{"", "START", "STDIN", "STDIN_EOF", "STDOUT", "STDERR", "WINCH", "EXIT", "SIGNAL", "HELLO"}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("type %d", byte(t))
	}
	return names[t]
}

// Frame is one frame.
type Frame struct {
	Type    Type
	Payload []byte
}

var (
	// ErrTooLong tells that a frame is longer than MaxPayload. The stream is
	// of no use afterwards.
	ErrTooLong = errors.New("console frame too long")
	// ErrType tells that a frame has a type that is not in the list.
	ErrType = errors.New("console frame of unknown type")
)

// ReadFrame reads one frame. End of file between frames is io.EOF, inside one
// io.ErrUnexpectedEOF. The payload is fresh memory, at most MaxPayload.
func ReadFrame(r io.Reader) (Frame, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Type: Type(h[0])}
	if f.Type < TypeStart || f.Type > TypeHello {
		return Frame{}, fmt.Errorf("%w: %d", ErrType, h[0])
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > MaxPayload {
		return Frame{}, fmt.Errorf("%w: %v of %d bytes", ErrTooLong, f.Type, n)
	}
	if n == 0 {
		return f, nil
	}
	f.Payload = make([]byte, n)
	if _, err := io.ReadFull(r, f.Payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return f, nil
}

// WriteFrame writes one frame in one Write, so that frames of several writers
// don't mix if the writer's Write is atomic or locked.
func WriteFrame(w io.Writer, f Frame) error {
	if len(f.Payload) > MaxPayload {
		return fmt.Errorf("%w: %v of %d bytes", ErrTooLong, f.Type, len(f.Payload))
	}
	b := make([]byte, headerSize, headerSize+len(f.Payload))
	b[0] = byte(f.Type)
	binary.BigEndian.PutUint32(b[1:], uint32(len(f.Payload)))
	_, err := w.Write(append(b, f.Payload...))
	return err
}

// Start asks for a session.
type Start struct {
	// Argv is the command; its first word is looked up in the user's PATH.
	// Empty: the user's login shell.
	Argv []string `json:"argv,omitempty"`
	// TTY asks for a terminal; else the command gets three pipes.
	TTY  bool   `json:"tty,omitempty"`
	Rows uint16 `json:"rows,omitempty"`
	Cols uint16 `json:"cols,omitempty"`
	// User is a name or a number of the jail's own passwd file; empty: root.
	User string `json:"user,omitempty"`
	// Term is the type of terminal; empty: "dumb".
	Term string `json:"term,omitempty"`
	// Dir is where to start, a path inside; empty: the user's home, or / if
	// that can't be entered.
	Dir string `json:"dir,omitempty"`
}

// Winch tells the new size of the terminal, in characters.
type Winch struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// Exit ends a session.
type Exit struct {
	// Code is the command's exit status, or 128 and the number of the signal
	// that ended it. With Error: 127 nothing like that found, 126 found but
	// not started, 125 anything else.
	Code int `json:"code"`
	// Error tells why the command didn't start.
	Error string `json:"error,omitempty"`
}

// Signal asks for a signal to the session's foreground process group.
type Signal struct {
	Signal int `json:"signal"`
}

// Hello is the first frame of a connection.
type Hello struct {
	// Boot is the number of the boot that dials (BOOTSERIAL in jail.conf).
	Boot int64 `json:"boot"`
}

// Encode puts v, one of the structs above, into a frame of type t.
func Encode(t Type, v any) (Frame, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Frame{}, fmt.Errorf("encode %v: %w", t, err)
	}
	if len(b) > MaxPayload {
		return Frame{}, fmt.Errorf("%w: %v of %d bytes", ErrTooLong, t, len(b))
	}
	return Frame{Type: t, Payload: b}, nil
}

// Decode reads the JSON of f into v, a pointer to one of the structs above,
// and checks that f is of type t. Keys that it doesn't know are left out:
// host and jail may be of different age.
func Decode(f Frame, t Type, v any) error {
	if f.Type != t {
		return fmt.Errorf("console frame %v where %v was expected", f.Type, t)
	}
	if err := json.Unmarshal(f.Payload, v); err != nil {
		return fmt.Errorf("decode %v: %w", t, err)
	}
	return nil
}
