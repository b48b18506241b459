package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"emujail/jailsetup/jail"
)

// heard is what a command in a jail has said. It is the jail's word: bounded,
// and not fit for a terminal as it is.
type heard struct {
	stdout, stderr []byte
	code           int
}

// ask is a command that a verb runs in a jail.
type ask struct {
	vnode   string
	argv    []string
	timeout time.Duration // in all
	most    int64         // bytes of output, and as many of complaints; what comes after them ends it
}

// askInside runs a command in a jail, through its init, and collects what it
// says. A jail that doesn't answer, or doesn't stop, is left in time.
func askInside(ctx context.Context, site jail.Site, a ask) (heard, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %s", a.timeout))
	defer cancel()
	var out, errs bytes.Buffer
	code, err := runInside(ctx, site, a.vnode, a.argv, streams{
		out: &bounded{w: &out, left: a.most},
		err: &bounded{w: &errs, left: a.most},
	})
	return heard{out.Bytes(), errs.Bytes(), code}, err
}
