package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs"
	"emujail/jailsetup/shape"
)

// DryRun says, line by line, what a boot of the vnode would do, or a reboot. It
// changes nothing: tmcd is asked without BOOTING.
func (h *Host) DryRun(ctx context.Context, vnode string, reboot bool) ([]string, error) {
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
	switch {
	case r.passedTo(w.Status):
		lines = append(lines, fmt.Sprintf("destroy what is here of %s/%s, whose %s was", r.Project, r.Experiment, vnode))
		r = Record{VNode: vnode}
	case r.Phase == Up && r.Alive() && !reboot:
		return nil, ErrUp
	case r.Phase == Up && r.Alive():
		if lines, err = h.DryRunDown(vnode, false); err != nil {
			return nil, err
		}
	}
	built, err := h.dryBuild(ctx, r, w)
	return append(lines, built...), err
}

// DryRunSetup says what making the vnode anew would do: what there is goes first.
func (h *Host) DryRunSetup(ctx context.Context, vnode string) ([]string, error) {
	w, err := h.Tmcd.ask(ctx, vnode, false, Sleep)
	if err != nil {
		return nil, err
	}
	lines, err := h.DryRunDown(vnode, true)
	if err != nil {
		return nil, err
	}
	built, err := h.dryBuild(ctx, Record{VNode: vnode}, w)
	return append(lines, built...), err
}

// dryBuild prints the plan of a vnode that is down.
func (h *Host) dryBuild(ctx context.Context, r Record, w Wish) (lines []string, err error) {
	if r.IDBase == 0 {
		if r.IDBase, err = h.Site.freeIDBase(); err != nil {
			return nil, err
		}
	}
	if r, err = h.settle(r, w); err != nil {
		return nil, err
	}
	r.Boot++
	r.Project, r.Experiment = w.Status.PID, w.Status.EID
	p, err := h.Plan(ctx, r, w)
	if err != nil {
		return nil, err
	}
	if r.Boot > 1 { // it has its disk
		p.Disk = nil
	}
	var text strings.Builder
	if err := plan.Print(&text, p.Steps()); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n"), nil
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
			lines = append(lines, fmt.Sprintf("undo %s: %s", u.Kind, inWords(u)))
		}
	}
	return slices.Compact(lines), nil
}

// inWords is what an undo does.
func inWords(u plan.Undo) string {
	words := map[string]string{
		limit.KindKill:   "end every process that is left of the jail",
		limit.KindCgroup: "remove its cgroups",
		rootfs.KindImage: "delete its disk, with all that its users have written",
		shape.KindLink:   "forward no more for a shaped interface",
		kindGiven:        "remove what it sees at /run/emulab",
		kindDoors:        "close its sockets",
		kindEvents:       "close its socket for events",

		network.KindControlLink:         "remove its control interface, and what lets it send",
		network.KindExperimentLink:      "remove an interface on a LAN, and what lets it send",
		network.KindExperimentNamespace: "remove the experiment's network, if no jail is left in it",
		network.KindSharedAddress:       "give up its ports of the host's address",
		network.KindSplice:              "remove what stood between an interface and its LAN",
	}[u.Kind]
	if words == "" {
		return string(u.Data)
	}
	return words
}
