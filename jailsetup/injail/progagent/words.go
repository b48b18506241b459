package progagent

import (
	"errors"
	"fmt"
	"strings"

	"emujail/protocol"
)

// words reads KEY=VALUE words, values with spaces in '…' or "…".
func words(text string) (map[string]string, error) {
	all := map[string]string{}
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return all, nil
		}
		key, rest, ok := strings.Cut(text, "=")
		if !ok || strings.ContainsAny(key, " \t'\"") {
			return nil, fmt.Errorf("arguments: want KEY=VALUE at %q", text)
		}
		end := strings.IndexAny(rest, " \t")
		if rest != "" && (rest[0] == '\'' || rest[0] == '"') {
			quote := strings.IndexByte(rest[1:], rest[0])
			if quote < 0 {
				return nil, errors.New("arguments: a quote isn't closed")
			}
			all[key], text = rest[1:1+quote], rest[2+quote:]
			continue
		}
		if end < 0 {
			end = len(rest)
		}
		all[key], text = rest[:end], rest[end:]
	}
}

// changed returns the command with an event's arguments; unknown ones are
// ignored.
func (c Command) changed(args map[string]string) (Command, error) {
	rec := protocol.Program{Timeout: args["TIMEOUT"], ExpectedExitCode: args["EXPECTED_EXIT_CODE"]}
	n, err := command(c.User, rec)
	if err != nil {
		return c, err
	}
	if rec.Timeout != "" {
		c.Timeout = n.Timeout
	}
	if rec.ExpectedExitCode != "" {
		c.Expect = n.Expect
	}
	if text, ok := args["COMMAND"]; ok {
		c.Text = text
	}
	if dir, ok := args["DIR"]; ok {
		c.Dir = dir
	}
	return c, nil
}
