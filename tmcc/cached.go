package main

import (
	"context"
	"errors"
	"fmt"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// cached returns the reply that the cache has, if it may be used: the command
// stands alone, and the question is the one that the cache was filled with.
// Whoever names a server, a socket, a key, a version or UDP wants that one's
// answer of now.
func (q *question) cached() ([]byte, bool, error) {
	if q.line.Bypass || len(q.line.Words) > 1 || q.line.DataFile != "" {
		return nil, false, nil
	}
	for _, letter := range []byte("splkvu") {
		if q.line.Given(letter) {
			return nil, false, nil
		}
	}
	reply, found, err := q.store.Read(q.line.Words[0])
	if found {
		q.log.Debug("answered from the cache", "directory", q.store.Dir())
	}
	return reply, found, err
}

// refill is -c: what tmcd says now, in place of what it once said.
func (q *question) refill(ctx context.Context) error {
	if !q.root {
		return errors.New("-c is for root: the cache is everybody's")
	}
	if err := q.store.Clear(); err != nil {
		return err
	}
	identity, err := q.identity()
	if err != nil {
		return err
	}
	c, err := q.connect(ctx)
	if err != nil {
		return err
	}
	reply, err := c.Do(ctx, client.Words(identity, []string{"fullconfig"}, nil))
	if err != nil {
		return q.explain(err)
	}
	blocks, err := protocol.SplitFullConfig(reply)
	if err != nil {
		return fmt.Errorf("reply to fullconfig: %w", err)
	}
	if len(blocks) == 0 {
		return fmt.Errorf("%s has no configuration for this node: it isn't allocated, or not known there", q.route)
	}
	q.log.Debug("cache filled", "directory", q.store.Dir(), "blocks", len(blocks))
	return q.store.Fill(blocks)
}
