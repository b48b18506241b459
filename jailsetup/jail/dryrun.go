package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"emujail/jailsetup/plan"
)

// DryRun says, line by line, what a boot of the vnode would do. It changes
// nothing: tmcd is asked without BOOTING.
func (h *Host) DryRun(ctx context.Context, vnode string) ([]string, error) {
	r, err := h.Site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		r = Record{VNode: vnode}
	} else if err != nil {
		return nil, err
	}
	w, err := h.Tmcd.ask(ctx, vnode, r.asksAliases(), Sleep)
	if err != nil {
		return nil, err
	}
	var lines []string
	if r.passedTo(w.Status) {
		lines = append(lines, fmt.Sprintf("destroy what is here of %s/%s, whose %s was", r.Project, r.Experiment, vnode))
		r = Record{VNode: vnode}
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
	return append(lines, strings.Split(strings.TrimRight(text.String(), "\n"), "\n")...), nil
}

// DryRunDown says what taking the vnode down would undo, with its disk or
// without.
func (h *Host) DryRunDown(vnode string, disk bool) ([]string, error) {
	_, err := h.load(vnode)
	if disk && errors.Is(err, ErrNoJail) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	logs := []string{h.Site.bootLog(vnode)}
	if disk {
		logs = append(logs, h.Site.diskLog(vnode))
	}
	var lines []string
	for _, path := range logs {
		log, err := plan.OpenLog(path)
		if err != nil {
			return nil, err
		}
		for _, u := range slices.Backward(log.Pending()) {
			lines = append(lines, fmt.Sprintf("undo %s %s", u.Kind, u.Data))
		}
	}
	return lines, nil
}
