package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"emujail/jailsetup/plan"
)

// DryRun says, line by line, what a boot of the vnode would do, or what taking
// it down would. It changes nothing: tmcd is asked without BOOTING.
func (h *Host) DryRun(ctx context.Context, vnode string, boot bool) ([]string, error) {
	r, err := h.Site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		r = Record{VNode: vnode}
	} else if err != nil {
		return nil, err
	}
	if !boot {
		return h.dryRunDown(r)
	}
	w, err := h.Tmcd.ask(ctx, vnode)
	if err != nil {
		return nil, err
	}
	if r.IDBase == 0 {
		if r.IDBase, err = h.Site.freeIDBase(); err != nil {
			return nil, err
		}
	}
	if r, err = h.settle(r, w); err != nil {
		return nil, err
	}
	r.Boot++
	p, err := h.Plan(ctx, r, w)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := plan.Print(&text, p.Steps()); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n"), nil
}

func (h *Host) dryRunDown(r Record) ([]string, error) {
	var lines []string
	for _, path := range [...]string{h.Site.diskLog(r.VNode), h.Site.bootLog(r.VNode)} {
		log, err := plan.OpenLog(path)
		if err != nil {
			return nil, err
		}
		for _, u := range log.Pending() {
			lines = append([]string{fmt.Sprintf("undo %s %s", u.Kind, u.Data)}, lines...)
		}
	}
	return lines, nil
}
