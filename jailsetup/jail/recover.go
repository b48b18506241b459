package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"emujail/jailsetup/rootfs"
)

// Recover reconciles every record with what is: a jail whose first process
// still runs is adopted, everything else that stands is taken down, and a boot
// that left no disk is removed. Jails that wait to be booted again, for somebody
// inside said reboot, are returned apart. One jail's trouble doesn't keep the
// others.
func (h *Host) Recover(ctx context.Context) (adopted, again []Record, err error) {
	names, err := h.Site.List()
	if err != nil {
		return nil, nil, err
	}
	errs := []error{rootfs.Template{Dir: h.Site.Templates()}.Sweep()}
	for _, vnode := range names {
		r, err := h.RecoverOne(ctx, vnode)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("recover %s: %w", vnode, err))
		case r.Phase == Up:
			adopted = append(adopted, r)
		case r.Phase == Down && r.Desired == Running && r.Ended == endedReboot:
			again = append(again, r)
		}
	}
	return adopted, again, errors.Join(errs...)
}

// RecoverOne is [Host.Recover] for one vnode.
func (h *Host) RecoverOne(ctx context.Context, vnode string) (Record, error) {
	r, err := h.Site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		// Killed between making the directory and writing the record, or
		// between removing the record and the directory.
		return Record{}, h.destroy(ctx, vnode)
	}
	if err != nil {
		return r, err
	}
	if r.Phase == Up {
		pidfd, err := r.pin()
		if err == nil {
			return r, pidfd.Close()
		}
		if !errors.Is(err, os.ErrProcessDone) {
			return r, err
		}
	}
	if r.Phase == Down {
		return r, h.finishKill(ctx, vnode)
	}
	found := r
	err = h.takeDown(ctx, &r, "found "+string(r.Phase)+" without its process")
	h.tellEnd(ctx, found) // now: one whose boot was cut off may have run
	if err != nil {
		return r, err
	}
	if found.Phase == Building && r.Boot <= 1 {
		return r, h.destroy(ctx, vnode)
	}
	return r, nil
}

// tellEnd tells tmcd of an end that nobody was there to see. Of a jail that was
// being halted tmcd has heard before.
func (h *Host) tellEnd(ctx context.Context, r Record) {
	switch r.Phase {
	case Up:
		h.tellLater(ctx, r.VNode, func(ctx context.Context) { h.report(ctx, r.VNode, "SHUTDOWN") })
	case Building:
		h.tellLater(ctx, r.VNode, func(ctx context.Context) {
			h.tellFailed(ctx, r.VNode, &tracer{}, errors.New("the supervisor ended meanwhile"))
		})
	}
}

// finishKill removes what a kill that was cut off has left of a jail whose disk
// is gone: else its record, and the room that it reserves, would stay.
func (h *Host) finishKill(ctx context.Context, vnode string) error {
	_, err := os.Lstat(h.Site.ImagePath(vnode))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.destroy(ctx, vnode)
}
