package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// maxBootLog is how much of the log goes to tmcd: with tags and command it
// must fit into one TLS record of 16,384 bytes.
const maxBootLog = 12 << 10

// giveUp bounds the last words: a tmcd that is away may be why we fail.
const giveUp = 30 * time.Second

// fail tells tmcd that the boot came to nothing: number, log, state. What
// can't be told is in the error; the rest is told all the same.
func (n *Node) fail(ctx context.Context, log []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
	defer cancel()
	_, errno := n.Client.Ask(ctx, "booterrno", "-1")
	text := n.Client.Tell(ctx, "bootlog", tail(log, maxBootLog))
	state := n.insist(ctx, func() error { return n.Client.State(ctx, "TBFAILED") })
	if err := errors.Join(errno, text, state); err != nil {
		return fmt.Errorf("report the failure: %w", err)
	}
	return nil
}

// tail returns the last whole lines that fit, without bytes that would end or
// change a request on its way.
func tail(log []byte, size int) []byte {
	if len(log) > size {
		log = log[len(log)-size:]
		if i := bytes.IndexByte(log, '\n'); i >= 0 {
			log = log[i+1:]
		}
	}
	return bytes.ReplaceAll(bytes.TrimSpace(log), []byte{0}, []byte("?"))
}
