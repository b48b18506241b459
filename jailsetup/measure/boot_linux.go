package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/plan"
)

// Rounds of the measurements.
const (
	bootRounds   = 20
	phaseRounds  = 60
	linearRounds = 12
	linearBouts  = 5
)

// linearRest is how long jails that have come or gone are given to settle.
const linearRest = 3 * time.Second

// phase is a boot's phase one: from the verb's receipt to the exec of PID 1, and
// tmcd's part of it, which doesn't count.
func phase(steps []plan.Event) (ours, tmcd time.Duration, err error) {
	if len(steps) == 0 {
		return 0, 0, errors.New("boot says no steps")
	}
	i := slices.IndexFunc(steps, func(e plan.Event) bool { return e.Step == jail.RunInit })
	if i < 0 {
		return 0, 0, fmt.Errorf("boot has no step %q", jail.RunInit)
	}
	for _, e := range steps {
		if e.Step == jail.AskTmcd {
			tmcd += e.Took
		}
	}
	return steps[i].Start.Add(steps[i].Took).Sub(steps[0].Start) - tmcd, tmcd, nil
}

// phaseOne is held against runc, which makes as many namespaces in the same
// cgroups, mounts less and makes no link.
func phaseOne(ctx context.Context, h *host, f *Figure) error {
	peer, err := newRunc(h)
	if err != nil {
		return err
	}
	v := h.vnodes[0]
	var ours, theirs, tmcd []time.Duration
	parts := map[string][]time.Duration{}
	for n := range phaseRounds + 1 {
		took, err := peer.run(ctx)
		if err != nil {
			return err
		}
		steps, err := h.boot(ctx, v)
		if err != nil {
			return err
		}
		if _, err := h.kill(ctx, v); err != nil {
			return err
		}
		own, answers, err := phase(steps)
		if err != nil {
			return err
		}
		if n == 0 {
			continue // the first is cold
		}
		ours, theirs, tmcd = append(ours, own), append(theirs, took), append(tmcd, answers)
		for _, s := range steps {
			parts[s.Step] = append(parts[s.Step], s.Took)
		}
	}
	f.ratio("phase one", ours, "runc run true", theirs)
	f.note("tmcd's answers %.1f ms more; cgroup moves: %s", ms(median(tmcd)), peer.mode)
	for _, line := range slowest(parts, v) {
		f.note("%s", line)
	}
	return nil
}

// slowest lists the steps that take longest.
func slowest(parts map[string][]time.Duration, vnode string) []string {
	type part struct {
		step string
		took time.Duration
	}
	var list []part
	for step, took := range parts {
		list = append(list, part{strings.ReplaceAll(step, vnode, "VNODE"), median(took)})
	}
	slices.SortFunc(list, func(a, b part) int { return int(b.took - a.took) })
	var lines []string
	for _, p := range list[:min(len(list), 8)] {
		lines = append(lines, fmt.Sprintf("%6.2f ms  %.90s", ms(p.took), p.step))
	}
	return lines
}

// killing counts until the verb returns: then processes, mounts, links, rules
// and the disk are gone.
func killing(ctx context.Context, h *host, f *Figure) error {
	peer, err := newRunc(h)
	if err != nil {
		return err
	}
	v := h.vnodes[0]
	var ours, theirs []time.Duration
	for range bootRounds {
		if err := h.bootAll(ctx, h.vnodes[:1]); err != nil {
			return err
		}
		took, err := h.kill(ctx, v)
		if err != nil {
			return err
		}
		peerTook, err := peer.run(ctx)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, took), append(theirs, peerTook)
	}
	f.ratio("kill", ours, "runc run true", theirs)
	f.note("with what the jail's processes take to end by themselves")
	return nil
}

// linear boots one more jail again and again, beside 4 and beside 49, by turns, so
// that a machine's slow times hit both.
func linear(ctx context.Context, h *host, f *Figure) error {
	var few, many []time.Duration
	var ratios []float64
	for n := range linearBouts {
		var bout [2]time.Duration // with 5, with 50
		for i := range bout {
			k := (n + i) % 2 // few, many, many, few: half of each follows its own kind
			list, err := h.cycles(ctx, [...]int{5, 50}[k])
			if err != nil {
				return err
			}
			bout[k] = median(list)
		}
		few, many = append(few, bout[0]), append(many, bout[1])
		ratios = append(ratios, float64(bout[1])/float64(bout[0]))
	}
	f.Value = median(ratios)
	f.note("the median of %d bouts' ratios: %.2f; a bout is %d times each", linearBouts, ratios, linearRounds)
	f.note("phase one of the 5th jail %s ms, of the 50th %s ms", msList(few), msList(many))
	return nil
}

// cycles brings the host to so many jails and times the last one.
func (h *host) cycles(ctx context.Context, jails int) ([]time.Duration, error) {
	if err := h.bring(ctx, jails-1); err != nil {
		return nil, err
	}
	var list []time.Duration
	for range linearRounds {
		steps, err := h.boot(ctx, h.vnodes[jails-1])
		if err != nil {
			return nil, err
		}
		own, _, err := phase(steps)
		if err != nil {
			return nil, err
		}
		if _, err := h.kill(ctx, h.vnodes[jails-1]); err != nil {
			return nil, err
		}
		list = append(list, own)
	}
	return list, nil
}

// bring boots or kills until just the first vnodes run, and lets them and the
// kernel finish, whose work would slow what is timed.
func (h *host) bring(ctx context.Context, jails int) error {
	running, err := h.running()
	if err != nil {
		return err
	}
	for _, v := range h.vnodes[jails:] {
		if !running[v] {
			continue
		}
		if _, err := h.kill(ctx, v); err != nil {
			return err
		}
	}
	if err := h.bootAll(ctx, h.vnodes[:jails]); err != nil {
		return err
	}
	return wait(ctx, linearRest)
}
