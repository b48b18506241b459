package console_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"emujail/jailsetup/injail/console"
)

// frames are one of every type, in the order of a session.
func frames() []console.Frame {
	return []console.Frame{
		{Type: console.TypeHello, Payload: []byte(`{"boot":3}`)},
		{Type: console.TypeStart, Payload: []byte(`{"argv":["true"]}`)},
		{Type: console.TypeStdin, Payload: []byte("a\x00b\xff")},
		{Type: console.TypeStdinEOF},
		{Type: console.TypeWinch, Payload: []byte(`{"rows":24,"cols":80}`)},
		{Type: console.TypeSignal, Payload: []byte(`{"signal":15}`)},
		{Type: console.TypeStdout, Payload: bytes.Repeat([]byte("x"), console.MaxPayload)},
		{Type: console.TypeStderr, Payload: []byte("e")},
		{Type: console.TypeExit, Payload: []byte(`{"code":143}`)},
	}
}

func TestFramesBothWays(t *testing.T) {
	var wire bytes.Buffer
	for _, f := range frames() {
		if err := console.WriteFrame(&wire, f); err != nil {
			t.Fatalf("WriteFrame(%v): %v", f.Type, err)
		}
	}
	r := iotest.HalfReader(&wire)
	for _, want := range frames() {
		got, err := console.ReadFrame(r)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("ReadFrame = %v %.40q, %v; want %v %.40q", got.Type, got.Payload, err, want.Type, want.Payload)
		}
	}
	if _, err := console.ReadFrame(r); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestReadFrameRefuses(t *testing.T) {
	tests := []struct {
		name, wire string
		want       error
	}{
		{"nothing", "", io.EOF},
		{"half a header", "\x04\x00\x00", io.ErrUnexpectedEOF},
		{"payload missing", "\x04\x00\x00\x00\x02", io.ErrUnexpectedEOF},
		{"payload short", "\x04\x00\x00\x00\x02a", io.ErrUnexpectedEOF},
		{"one byte too long", "\x04\x00\x01\x00\x01", console.ErrTooLong},
		{"four gigabytes", "\x04\xff\xff\xff\xff", console.ErrTooLong},
		{"type 0", "\x00\x00\x00\x00\x00", console.ErrType},
		{"type 10", "\x0a\x00\x00\x00\x00", console.ErrType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := console.ReadFrame(strings.NewReader(tt.wire))
			if !errors.Is(err, tt.want) {
				t.Errorf("ReadFrame = %v, %v; want %v", f, err, tt.want)
			}
		})
	}
}

func TestWriteFrameRefusesLong(t *testing.T) {
	var w bytes.Buffer
	err := console.WriteFrame(&w, console.Frame{Type: console.TypeStdout, Payload: make([]byte, console.MaxPayload+1)})
	if !errors.Is(err, console.ErrTooLong) || w.Len() != 0 {
		t.Errorf("WriteFrame = %v after %d bytes, want ErrTooLong after none", err, w.Len())
	}
}

func TestEncodeDecode(t *testing.T) {
	want := console.Start{Argv: []string{"ls", "-l"}, TTY: true, Rows: 24, Cols: 80, User: "ann", Term: "xterm", Dir: "/"}
	f, err := console.Encode(console.TypeStart, want)
	if err != nil {
		t.Fatal(err)
	}
	var got console.Start
	if err := console.Decode(f, console.TypeStart, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Decode = %+v, %v; want %+v", got, err, want)
	}
	if err := console.Decode(f, console.TypeExit, &console.Exit{}); err == nil {
		t.Error("a START was taken for an EXIT")
	}
	if err := console.Decode(console.Frame{Type: console.TypeExit, Payload: []byte("{")}, console.TypeExit, &console.Exit{}); err == nil {
		t.Error("broken JSON was taken")
	}
	if _, err := console.Encode(console.TypeStart, console.Start{Dir: strings.Repeat("x", console.MaxPayload)}); !errors.Is(err, console.ErrTooLong) {
		t.Errorf("Encode of a long START: %v, want ErrTooLong", err)
	}
}

// FuzzReadFrame: whatever is read prints back to the same bytes, and nothing
// longer than the limit is ever returned.
func FuzzReadFrame(f *testing.F) {
	seeds := 0
	for _, fr := range frames() {
		var b bytes.Buffer
		if err := console.WriteFrame(&b, fr); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		seeds++
	}
	if seeds != 9 {
		f.Fatalf("%d seeds, want one for each of the 9 types", seeds)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := console.ReadFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(fr.Payload) > console.MaxPayload {
			t.Fatalf("payload of %d bytes", len(fr.Payload))
		}
		if n := binary.BigEndian.Uint32(b[1:]); int(n) != len(fr.Payload) {
			t.Fatalf("header says %d, payload has %d", n, len(fr.Payload))
		}
		var w bytes.Buffer
		if err := console.WriteFrame(&w, fr); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.Bytes(), b[:w.Len()]) {
			t.Fatalf("read %.40q, wrote %.40q", b, w.Bytes())
		}
	})
}
