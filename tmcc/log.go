package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"emujail/tmcc/options"
)

// logger writes plain lines to standard error: what someone should know who
// waits, and with -d all that is done.
func (m machine) logger(line *options.Line) *slog.Logger {
	level := slog.LevelInfo
	if line.Debug {
		level = slog.LevelDebug
	}
	return slog.New(plain{out: m.stderr, level: level})
}

// plain is a slog.Handler for people: "tmcc: message (key value, …)".
type plain struct {
	out   io.Writer
	level slog.Level
	attrs []slog.Attr
}

func (p plain) Enabled(_ context.Context, l slog.Level) bool { return l >= p.level }

func (p plain) Handle(_ context.Context, r slog.Record) error {
	var notes []string
	note := func(a slog.Attr) bool {
		notes = append(notes, fmt.Sprintf("%s %v", a.Key, a.Value))
		return true
	}
	for _, a := range p.attrs {
		note(a)
	}
	r.Attrs(note)
	text := "tmcc: " + r.Message
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	_, err := io.WriteString(p.out, printable(text)+"\n")
	return err
}

func (p plain) WithAttrs(attrs []slog.Attr) slog.Handler {
	p.attrs = append(p.attrs[:len(p.attrs):len(p.attrs)], attrs...)
	return p
}

// WithGroup keeps the names as they are: nobody here uses groups.
func (p plain) WithGroup(string) slog.Handler { return p }
