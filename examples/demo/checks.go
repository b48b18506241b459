//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// check runs the list and prints a line for each. It stops at the first that
// fails.
func (w *world) check(ctx context.Context) (done int, err error) {
	checks := []struct {
		what string
		f    func(context.Context) error
	}{
		{"both jails boot and report ISUP to tmcd", w.bootBoth},
		{"tmcc status inside names the right jail", w.statusInside},
		{"the audit log shows each jail asking for its own configuration", w.ownConfig},
		{"an account added at tmcd after the host has asked is in the jail", w.lateAccount},
		{"a request that claims to be the other jail is answered as the asker", w.spoof},
		{"tmcd: the host reaches it, a jail doesn't, a jail does with the rule taken away", w.tmcdReach},
		{"secrets planted on the host are in neither jail", w.noSecrets},
		{"an account logs in by ssh with its key", w.login},
		{"the tarball is unpacked", w.tarball},
		{"the traffic generator's rate is right to 5 %", w.traffic},
		{"a rebooted jail keeps its disk", w.rebootKeepsDisk},
		{"killed, the jails leave nothing", w.nothingLeft},
	}
	for _, c := range checks {
		if w.keep && c.what == "killed, the jails leave nothing" {
			continue
		}
		began := time.Now()
		if err := c.f(ctx); err != nil {
			fmt.Printf("✗ %s\n", c.what)
			return done, fmt.Errorf("%s: %w", c.what, err)
		}
		fmt.Printf("✓ %-80s %6d ms\n", c.what, time.Since(began).Milliseconds())
		done++
	}
	return done, nil
}
