// Package wait waits for what comes to be true some time after it was asked
// for: a program that serves, a node that is up, a process that is gone.
//
//	err := wait.Until(ctx, 10*time.Second, "tmcd-mock to serve", func() error {
//		return ask("tmcd-mock", "show")
//	})
//
// It looks again and again, since what the demo and the examples wait for says
// nothing by itself when it comes. The error is the last look's, with how long
// was waited for what.
package wait

import (
	"context"
	"fmt"
	"time"
)

// interval is the time from one look to the next.
const interval = 20 * time.Millisecond

// Until looks until look succeeds, most is over or ctx ends.
func Until(ctx context.Context, most time.Duration, what string, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", most, what, err)
		case <-tick.C:
		}
	}
}
