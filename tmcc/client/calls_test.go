package client

import (
	"context"
	"slices"
	"testing"

	"emujail/protocol"
)

// Typed calls speak as the identity, each word with a space behind it.
func TestCalls(t *testing.T) {
	type call = func(context.Context, *Client) error
	for name, row := range map[string]struct {
		call call
		want string
	}{
		"state":        {func(ctx context.Context, c *Client) error { return c.State(ctx, "ISUP") }, "state ISUP "},
		"start status": {func(ctx context.Context, c *Client) error { return c.StartStatus(ctx, 7) }, "startstatus 7 "},
		"boot log":     {func(ctx context.Context, c *Client) error { return c.BootLog(ctx, []byte("a  b\n")) }, "bootlog a  b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, "tcp", "127.0.0.1:0", answer(""))
			c := mustNew(t, Options{
				Network: TCP, Servers: localhost(p.port()),
				Identity: protocol.Request{Version: 40, VNodeID: "pcvm1-1", Command: "ignored"},
			})
			if err := row.call(within(t), c); err != nil {
				t.Error(err)
			}
			if got := p.requests(); !slices.Equal(got, []string{"VNODEID=pcvm1-1 VERSION=40 " + row.want}) {
				t.Errorf("the server saw %q", got)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("ALLOCATED=proj/exp NICKNAME=node-a\n"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
	s, err := c.Status(within(t))
	if err != nil || s.PID != "proj" || s.EID != "exp" || s.NickName != "node-a" {
		t.Errorf("Status = %+v, %v", s, err)
	}
}

func TestStatusGarbage(t *testing.T) {
	p := serve(t, "tcp", "127.0.0.1:0", answer("garbage\n"))
	c := mustNew(t, Options{Network: TCP, Servers: localhost(p.port())})
	if s, err := c.Status(within(t)); err == nil {
		t.Errorf("Status = %+v", s)
	}
}

func TestWords(t *testing.T) {
	for name, row := range map[string]struct {
		words []string
		data  string
		want  string
	}{
		"a word":         {[]string{"status"}, "", "status "},
		"words":          {[]string{"rusage", "LA1=1", "LA5=2"}, "", "rusage LA1=1 LA5=2 "},
		"words and data": {[]string{"bootlog", "x"}, "line\n two", "bootlog x line\n two"},
		"an empty word":  {[]string{"state", ""}, "", "state  "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Words(protocol.Request{}, row.words, []byte(row.data)).Append(nil); string(got) != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
