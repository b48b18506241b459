package jail

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs"
	"emujail/jailsetup/rootfs/tree"
	"emujail/jailsetup/spawn"
)

// Plan is a boot as a list of steps: what makes the disk, and what lasts for
// one boot.
type Plan struct {
	Disk, Boot []plan.Step
	Notes      []string // what the vnode will lack, for people

	cgroupDir string
	wait      func() // for what goes on beside
	disk      rootfs.Made
}

// Steps is the whole plan, for `-n`.
func (p Plan) Steps() []plan.Step { return slices.Concat(p.Disk, p.Boot) }

// Plan turns what tmcd says into steps. It makes the template that disks are
// cloned from, if it isn't there; else it changes nothing.
func (h *Host) Plan(ctx context.Context, r Record, w Wish) (Plan, error) {
	return h.plan(ctx, r, w, &launch{failed: errors.New("this plan is for showing")})
}

func (h *Host) plan(ctx context.Context, r Record, w Wish, first *launch) (Plan, error) {
	wires, err := h.wires(r, w)
	if err != nil {
		return Plan{}, err
	}
	size, err := diskSize(w.Jail.VDSize, h.Site.Limits.DiskMiB)
	if err != nil {
		return Plan{}, err
	}
	root, image, err := h.Site.rootTree(w.Jail.ImageName)
	if err != nil {
		return Plan{}, err
	}
	made, err := h.templates.Ensure(ctx, rootfs.Template{
		Dir: h.Site.Templates(), Host: root, Size: size, Names: namesOf(h.Network),
	})
	if err != nil {
		return Plan{}, err
	}
	stage0, err := goMessage(r.VNode, w.Jail)
	if err != nil {
		return Plan{}, err
	}
	shares, notes, err := h.Site.sharesOf(w)
	if err != nil {
		return Plan{}, err
	}
	store, note := h.Site.storeOf(r.VNode, w.Status)
	if note != "" {
		notes = append(notes, note)
	}
	if store != nil {
		shares = append(shares, store.share())
	}
	p := Plan{disk: made, wait: func() {}, Notes: slices.Concat(image, notes, wires.notes())}
	p.Disk = []plan.Step{rootfs.Image{Template: made.Image, Path: h.Site.ImagePath(r.VNode)}}

	cgroup := limit.Cgroup{
		Hierarchies: h.Hierarchies, VNode: r.VNode,
		Processes: h.Site.Limits.Processes, Memory: int64(h.Site.Limits.MemoryMiB) << 20, CPUShare: h.Site.Limits.CPUShare,
	}
	if cgroup.IO, err = h.Site.io(); err != nil {
		return Plan{}, err
	}
	p.cgroupDir = cgroup.Dir()
	given, events := h.Site.GivenDir(r.VNode), h.Site.EventDoor(r)
	events.Key = w.EventKey
	p.Boot = []plan.Step{
		Open{Image: h.Site.ImagePath(r.VNode), launch: first},
		cgroup,
		Given{Dir: given, Conf: h.conf(r, w, wires.missing)},
		Spawn{Config: h.spawnConfig(r, w, made, cgroup, shares), launch: first},
		Doors{VNode: r.VNode, Dir: given, CgroupDir: cgroup.Dir(), Hands: h.Hands},
		Events{Door: events, Hands: h.Hands.Events},
	}
	if store != nil { // before the share that it is
		p.Boot = append([]plan.Step{*store}, p.Boot...)
	}
	p.Boot = append(p.Boot, Started{VNode: r.VNode, launch: first})
	if wires.early != nil {
		begin, await := plan.Beside(wires.early)
		p.Boot = append(append([]plan.Step{begin}, p.Boot...), await)
		p.wait = begin.Wait
	}
	if r.Boot > 1 { // a disk from before
		p.Boot = append([]plan.Step{rootfs.Check{Path: h.Site.ImagePath(r.VNode)}}, p.Boot...)
	}
	p.Boot = append(p.Boot, wires.steps...)
	p.Boot = append(p.Boot, permitSteps(r, w.Jail, cgroup.Dir(), wires)...)
	p.Boot = append(p.Boot, Go{CgroupDir: cgroup.Dir(), Stage0: stage0, launch: first})
	return p, nil
}

func (h *Host) spawnConfig(r Record, w Wish, made rootfs.Made, c limit.Cgroup, shares []tree.Share) spawn.Config {
	return spawn.Config{
		VNode:       r.VNode,
		Hostname:    w.Hostname,
		Injail:      filepath.Join(h.Programs, "injail"),
		MaxUserNS:   h.Site.Limits.UserNS,
		CgroupDir:   c.Dir(),
		CgroupProcs: c.Procs(),
		Layout: tree.Layout{
			Image:       h.Site.ImagePath(r.VNode),
			Mountpoint:  h.Site.mountpoint(),
			Given:       h.Site.GivenDir(r.VNode),
			Programs:    h.Programs,
			Usr:         made.Usr,
			UsrMasks:    made.Masks,
			IDBase:      r.IDBase,
			MaxPTYs:     h.Site.Limits.Terminals,
			Shares:      shares,
			WritableNet: w.Jail.Routing && !w.sharesAddress(),
		},
	}
}

// maxDiskGB bounds VDSIZE: beyond it the number is a mistake.
const maxDiskGB = 1024

// diskSize is VDSIZE, a decimal number of GB, or the site's default.
func diskSize(vdsize string, defaultMiB int) (int64, error) {
	if vdsize == "" {
		return int64(defaultMiB) << 20, nil
	}
	gb, err := strconv.ParseFloat(vdsize, 64)
	if err != nil || math.IsNaN(gb) || gb <= 0 || gb > maxDiskGB {
		return 0, fmt.Errorf("VDSIZE %q: want a number of GB, more than 0, at most %d", vdsize, maxDiskGB)
	}
	const page = 4096
	return int64(gb*(1<<30)) / page * page, nil
}
