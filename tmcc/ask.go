package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"emujail/protocol"
	"emujail/tmcc/cache"
	"emujail/tmcc/client"
	"emujail/tmcc/options"
)

// A question is one run's: the line, and where its answer may come from.
type question struct {
	machine
	line  *options.Line
	log   *slog.Logger
	store cache.Cache

	// Found out when first needed.
	route  route
	client *client.Client
}

// ask answers the line's command, from here, from the cache or from tmcd.
func (m machine) ask(ctx context.Context, line *options.Line) error {
	store, err := cache.Open(m.boot, line.VNode)
	if err != nil {
		return err
	}
	q := &question{machine: m, line: line, log: m.logger(line), store: store}
	if line.Clear {
		if _, err := q.findRoute(); err != nil { // before anything is cleared
			return err
		}
		if err := q.refill(ctx); err != nil {
			return err
		}
	}
	if len(line.Words) == 0 {
		return nil
	}
	if line.Words[0] == bossinfo {
		return q.bossinfo(ctx)
	}
	if reply, found, err := q.cached(); err != nil || found {
		return errors.Join(err, q.show(reply, found))
	}
	return q.fromTmcd(ctx)
}

// fromTmcd sends the request and prints the reply, as it comes unless it is to
// become JSON.
func (q *question) fromTmcd(ctx context.Context) error {
	if _, err := q.findRoute(); err != nil {
		return err
	}
	req, err := q.request()
	if err != nil {
		return err
	}
	c, err := q.connect(ctx)
	if err != nil {
		return err
	}
	if q.line.Debug {
		q.log.Debug("asking", "of", q.route, "request", fmt.Sprintf("%q", head(req)))
	}
	if q.line.JSON {
		reply, err := c.Do(ctx, req)
		if err != nil {
			return q.explain(err)
		}
		q.tellSilence(req, len(reply) > 0)
		return q.printJSON(reply)
	}
	out := &counter{w: q.stdout}
	if err := c.Stream(ctx, req, out); err != nil {
		return q.explain(err)
	}
	q.tellSilence(req, out.n > 0)
	return nil
}

// show prints a reply that is here already.
func (q *question) show(reply []byte, found bool) error {
	switch {
	case !found:
		return nil
	case q.line.JSON:
		return q.printJSON(reply)
	}
	_, err := io.Copy(q.stdout, bytes.NewReader(reply))
	return err
}

// explain adds a remedy to an error of the client's, where there is one.
func (q *question) explain(err error) error {
	if errors.Is(err, client.ErrNoProgress) {
		//lint:ignore ST1005 the original's own words, which scripts look for
		err = fmt.Errorf("%w\ntmcc: Timed out because there was no progress!", err)
		if q.route.network == client.UDP {
			err = fmt.Errorf("%w (over UDP an empty answer is no answer at all)", err)
		}
	}
	return err
}

// head is the request without what may be long or secret.
func head(req protocol.Request) []byte {
	if req.PrivKey != "" {
		req.PrivKey = "…"
	}
	wire := req.Append(nil)
	if len(wire) > 256 {
		wire = append(wire[:256:256], "…"...)
	}
	return wire
}

// A counter counts what it passes on.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
