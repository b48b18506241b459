package client

import (
	"context"
	"fmt"

	"emujail/protocol"
)

// Words makes of the words of a command line, and data, what a tmcc sends: each
// word with a space behind it, the last one too, then data as it is. It is the
// part of a request after its tags; identity gives those.
func Words(identity protocol.Request, words []string, data []byte) protocol.Request {
	req := identity
	req.Command, req.HasArgs, req.Args = words[0], true, nil
	for _, w := range words[1:] {
		req.Args = append(append(req.Args, w...), ' ')
	}
	req.Args = append(req.Args, data...)
	return req
}

// Ask sends command, with args, as Options.Identity and returns the reply.
func (c *Client) Ask(ctx context.Context, command string, args ...string) ([]byte, error) {
	words := append([]string{command}, args...)
	return c.Do(ctx, Words(c.opts.Identity, words, nil))
}

// Tell sends command with a body of any bytes, a boot log say, as
// Options.Identity.
func (c *Client) Tell(ctx context.Context, command string, body []byte) error {
	_, err := c.Do(ctx, Words(c.opts.Identity, []string{command}, body))
	return err
}

// parsed asks for command and parses the reply. Whether an empty one means
// anything is for its parser to say.
func parsed[T any](ctx context.Context, c *Client, command string, parse func([]byte) (T, error)) (T, error) {
	var none T
	reply, err := c.Ask(ctx, command)
	if err != nil {
		return none, err
	}
	value, err := parse(reply)
	if err != nil {
		return none, fmt.Errorf("reply to %s: %w", command, err)
	}
	return value, nil
}

// Status asks whether the node is allocated, and to whom.
func (c *Client) Status(ctx context.Context) (protocol.Status, error) {
	return parsed(ctx, c, "status", protocol.ParseStatus)
}

// FullConfig asks for all of the node's configuration, a block a command. It
// counts as asking each: nodes.update_accounts goes down (spec §7).
func (c *Client) FullConfig(ctx context.Context) ([]protocol.Block, error) {
	return parsed(ctx, c, "fullconfig", protocol.SplitFullConfig)
}

// State reports the node's state: BOOTING, ISUP, TBFAILED, SHUTDOWN, ….
func (c *Client) State(ctx context.Context, state string) error {
	_, err := c.Ask(ctx, "state", state)
	return err
}

// BootLog reports what happened while booting. TCP, TLS or unix only; with its
// head it must fit into one request.
func (c *Client) BootLog(ctx context.Context, text []byte) error {
	return c.Tell(ctx, "bootlog", text)
}

// StartStatus reports the exit status of the experimenter's start command.
func (c *Client) StartStatus(ctx context.Context, status int) error {
	_, err := c.Ask(ctx, "startstatus", fmt.Sprint(status))
	return err
}
