package progagent

import "emujail/protocol"

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
