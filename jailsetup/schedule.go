package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"emujail/jailsetup/hub"
)

// maxScheduleBytes bounds a schedule's text: 100,000 events are some 10 MB.
const maxScheduleBytes = 30 << 20

// readSchedule reads a schedule, from standard input if path is "-".
func readSchedule(path string) (*hub.Schedule, error) {
	if path == "" {
		return nil, nil
	}
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("read schedule: %w", err)
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, maxScheduleBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read schedule: %w", err)
	}
	if len(data) > maxScheduleBytes {
		return nil, fmt.Errorf("schedule %s: more than %d bytes", path, maxScheduleBytes)
	}
	s, err := parseSchedule(data)
	if err != nil {
		return nil, fmt.Errorf("schedule %s: %w", path, err)
	}
	return s, nil
}

// parseSchedule reads the JSON of a schedule; an error names the line, and what
// is expected.
func parseSchedule(data []byte) (*hub.Schedule, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var s hub.Schedule
	err := dec.Decode(&s)
	if err == nil {
		return &s, nil
	}
	const form = `want {"events": [{"at": 1.5, "object": "cbr0", "action": "START", "args": "RATE=500"}], "groups": {"all": ["cbr0"]}}`
	line := func(offset int64) int { return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte{'\n'}) }
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty: " + form)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("line %d: it ends too early: %s", line(int64(len(data))), form)
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("line %d: %w: %s", line(syntax.Offset), err, form)
	case errors.As(err, &kind):
		return nil, fmt.Errorf("line %d: a JSON %s is in the wrong place: %s", line(kind.Offset), kind.Value, form)
	}
	// An unknown key, named; the decoder has read up to behind it.
	return nil, fmt.Errorf("line %d: %w: %s", line(dec.InputOffset()), err, form)
}
