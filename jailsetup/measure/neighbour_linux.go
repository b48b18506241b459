package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Rounds beside each nuisance: so many answers a turn, and so many turns.
const (
	neighbourAnswers = 40
	neighbourTurns   = 3
	nuisanceTime     = 2 * time.Second // from its start until it is at its worst
)

// nuisances are what one jail does, as long as it lives.
func nuisances() []struct{ name, script string } {
	return []struct{ name, script string }{
		{"a fork bomb", `b() { b | b & }; while :; do b; sleep 0.1; done`},
		{"a memory hog", `while :; do tail /dev/zero; done`},
		{"a disk filler", `while :; do cat /dev/zero > /var/tmp/fill; rm -f /var/tmp/fill; done`},
	}
}

// neighbour measures how long sshd in one jail takes to answer a caller, a new
// process each time, while another jail does its worst, by turns with peace.
func neighbour(ctx context.Context, h *host, f *Figure) error {
	calm, bad := h.vnodes[0], h.vnodes[1]
	if err := h.bootAll(ctx, []string{calm}); err != nil {
		return err
	}
	r, err := h.record(calm)
	if err != nil {
		return err
	}
	sshd := net.JoinHostPort(r.Address, "22")
	for _, n := range nuisances() {
		var peace, beside []time.Duration
		for range neighbourTurns {
			if err := answers(ctx, sshd, &peace); err != nil {
				return fmt.Errorf("in peace: %w", err)
			}
			if err := h.besides(ctx, bad, n.script, func() error { return answers(ctx, sshd, &beside) }); err != nil {
				return fmt.Errorf("beside %s: %w", n.name, err)
			}
		}
		ratio := float64(median(beside)) / float64(median(peace))
		f.Value = max(f.Value, ratio)
		f.note("beside %s: sshd answers after %.1f ms (p90 %.1f), in peace %.1f ms (p90 %.1f), %d by turns: %.2f", n.name,
			ms(median(beside)), ms(quantile(beside, 0.9)), ms(median(peace)), ms(quantile(peace, 0.9)), len(peace), ratio)
	}
	return nil
}

// besides runs do while the vnode's jail runs the script; then the jail is
// killed.
func (h *host) besides(ctx context.Context, vnode, script string, do func() error) (err error) {
	if err := h.bootAll(ctx, []string{vnode}); err != nil {
		return err
	}
	cmd := h.program(ctx, "enter", "-T", vnode, "sh", "-c", script)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_, killErr := h.kill(ctx, vnode)
		_ = cmd.Wait() // it says that the jail is gone
		err = errors.Join(err, killErr)
	}()
	if err := wait(ctx, nuisanceTime); err != nil {
		return err
	}
	return do()
}

// answers calls sshd some times and adds how long each answer took.
func answers(ctx context.Context, address string, list *[]time.Duration) error {
	buf := make([]byte, 64)
	for range neighbourAnswers {
		began := time.Now()
		c, err := (&net.Dialer{Timeout: upTimeout}).DialContext(ctx, "tcp4", address)
		if err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(upTimeout))
		n, err := c.Read(buf)
		took := time.Since(began)
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
		if !bytes.HasPrefix(buf[:n], []byte("SSH-")) {
			return fmt.Errorf("%s says %q, not an sshd's words", address, buf[:n])
		}
		*list = append(*list, took)
	}
	return nil
}
