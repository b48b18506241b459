package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs"
)

// Deadlines of a life (jail.md §7.2); tell.go has those of reports.
const (
	graceMargin = 2 * time.Second // beyond the grace that injail gives its processes
	askTimeout  = 60 * time.Second
)

// Host is what jails are made with on this host. One at a time may change
// them; the supervisor sees to it, a vnode at a time.
type Host struct {
	Site        Site
	Network     network.Control
	Hierarchies limit.Hierarchies
	Tmcd        Tmcd
	Hands       Hands
	Programs    string // directory of the copies that jails see
	Log         *slog.Logger
	reserve     chan struct{} // one at a time takes an id range
	disks       ledger
	templates   rootfs.Keeper
	late        lateWords
}

// ErrUp says that the jail runs already.
var ErrUp = errors.New("runs already (jailsetup reboot starts it anew, update changes it as it runs)")

// ErrNoJail says that there is no such jail on this host.
var ErrNoJail = errors.New("no such jail on this host (jailsetup list shows them)")

// Boot builds and starts the vnode's jail: a new one, or one that keeps its
// disk, if that is of the same experiment. Where tmcd keeps it waiting for
// minutes it rests. Each finished step goes to trace.
// What fails is undone; a disk that was there before stays.
func (h *Host) Boot(ctx context.Context, vnode string, rest Rest, trace func(plan.Event)) (Record, error) {
	t := &tracer{each: trace}
	var r Record
	var wish Wish
	err := t.step("look at what there is of "+vnode, func() (err error) {
		r, err = h.prepare(ctx, vnode)
		return err
	})
	if err != nil {
		return r, err
	}
	if wish, err = h.ask(ctx, r, rest, t); err != nil {
		return r, err
	}
	if r, err = h.makeWay(ctx, r, wish.Status, t); err != nil {
		h.tellFailed(ctx, vnode, t, err)
		return r, err
	}
	defer h.Hierarchies.Hasten(ctx)()
	err = t.step("reserve the disk, write the record", func() (err error) {
		r, err = h.reserveRecord(r, wish)
		return err
	})
	if short := (*SpaceError)(nil); errors.As(err, &short) {
		return r, h.giveUp(ctx, r, t, err)
	}
	if err != nil {
		h.tellFailed(ctx, vnode, t, err)
		return r, err
	}
	pidfd, disk, err := h.build(ctx, &r, wish, t)
	h.writeTrace(r, t, err)
	if err != nil {
		return r, h.giveUp(ctx, r, t, err)
	}
	defer pidfd.Close()
	r.Phase = Up
	if err := t.step("write that it runs", func() error { return h.Site.Save(r) }); err != nil {
		return r, h.giveUp(ctx, r, t, err)
	}
	h.spareDisk(ctx, disk)
	return r, nil
}

// ask reports BOOTING and asks what the vnode should be. If tmcd has heard the
// one and can't tell the other, it hears that too.
func (h *Host) ask(ctx context.Context, r Record, rest Rest, t *tracer) (wish Wish, err error) {
	told := false
	err = t.step(AskTmcd, func() (err error) {
		if err := h.Tmcd.Booting(ctx, r.VNode); err != nil {
			return err
		}
		told = true
		wish, err = h.Tmcd.Wish(ctx, r.VNode, r.asksAliases(), rest)
		return err
	})
	if err != nil && told && !errors.Is(err, ErrFree) && !errors.Is(err, ErrUnknown) {
		h.tellFailed(ctx, r.VNode, t, err)
	}
	return wish, err
}

// AskTmcd is the step of a trace in which this host waits for tmcd.
const AskTmcd = "report BOOTING, ask tmcd what it should be"

// prepare brings the vnode to where a boot can begin.
func (h *Host) prepare(ctx context.Context, vnode string) (Record, error) {
	if err := CheckName(vnode); err != nil {
		return Record{}, err
	}
	if err := h.late.await(ctx, vnode); err != nil {
		return Record{}, err
	}
	r, err := h.Site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{VNode: vnode}, nil
	}
	if err != nil {
		return r, err
	}
	if r.Phase == Up {
		pidfd, err := r.pin()
		if err == nil {
			err = pidfd.Close()
			r, evictErr := h.evict(ctx, r)
			return r, errors.Join(evictErr, err)
		}
		if !errors.Is(err, os.ErrProcessDone) { // not known is not dead
			return r, fmt.Errorf("look whether %s runs: %w", vnode, err)
		}
		h.report(ctx, vnode, "SHUTDOWN") // whoever watches it has not come to it yet
	}
	return r, h.takeDown(ctx, &r, r.Ended)
}

// reserveRecord writes down, synced, that the vnode is being built, with which
// ids and how large a disk, before the first step. With a [SpaceError] there is
// a record, without the disk.
func (h *Host) reserveRecord(r Record, w Wish) (Record, error) {
	h.reserve <- struct{}{}
	defer func() { <-h.reserve }()
	var err error
	if r.IDBase == 0 {
		if r.IDBase, err = h.Site.freeIDBase(); err != nil {
			return r, err
		}
	}
	if r.BootID, err = bootID(); err != nil {
		return r, err
	}
	r.Boot++
	r.Desired, r.Phase, r.Ended = Running, Building, ""
	r.PID, r.StartTime, r.Cgroup = 0, 0, 0
	r.Project, r.Experiment, r.NickName = w.Status.PID, w.Status.EID, w.Status.NickName
	r.Hostname, r.Aliases = w.Hostname, len(w.Aliases) > 0
	r = r.atOwnAddress(w)
	short := h.reserveDisk(&r, w)
	if err := os.MkdirAll(h.Site.Dir(r.VNode), 0o700); err != nil {
		return r, err
	}
	if err := h.Site.Save(r); err != nil {
		if r.Boot == 1 { // there was no record: nothing of the vnode is to be left
			h.disks.forget(r.VNode)
			err = errors.Join(err, os.Remove(h.Site.Dir(r.VNode)))
		}
		return r, err
	}
	return r, short
}

// build runs the plan and pins the first process. It says what the disk is of.
func (h *Host) build(ctx context.Context, r *Record, w Wish, t *tracer) (*os.File, rootfs.Made, error) {
	first := readyLaunch(h.Site.spawner())
	defer first.abort()
	var p Plan
	err := t.step("make the plan, look after the template", func() (err error) {
		if *r, err = h.reservePlace(*r, w); err != nil {
			return err
		}
		p, err = h.plan(ctx, *r, w, first)
		return err
	})
	if err != nil {
		return nil, p.disk, err
	}
	for _, refusal := range refusals(w.Jail) {
		h.Log.Info(refusal, "vnode", r.VNode)
	}
	for _, note := range p.Notes {
		h.Log.Warn(note, "vnode", r.VNode)
		t.note(note)
	}
	diskLog, err := plan.OpenLog(h.Site.diskLog(r.VNode))
	if err != nil {
		return nil, p.disk, err
	}
	bootLog, err := plan.OpenLog(h.Site.bootLog(r.VNode))
	if err != nil {
		return nil, p.disk, err
	}
	state := &plan.State{}
	defer state.Close()
	defer p.wait()
	if len(diskLog.Pending()) == 0 { // else the disk is the jail's already
		if err := plan.Run(ctx, p.Disk, diskLog, state, t.add); err != nil {
			return nil, p.disk, err
		}
	}
	if err := plan.Run(ctx, p.Boot, bootLog, state, t.add); err != nil {
		return nil, p.disk, err
	}
	r.PID, r.CgroupDir = state.PID, p.cgroupDir
	if r.StartTime, err = startTime(state.PID); err != nil {
		return nil, p.disk, fmt.Errorf("first process is gone: %w", err)
	}
	if r.Cgroup, err = limit.ID(p.cgroupDir); err != nil {
		return nil, p.disk, err
	}
	pidfd, err := r.pin()
	return pidfd, p.disk, err
}

// giveUp undoes a failed boot, tells tmcd, with the last steps, and returns
// why, with what could not be undone. tmcd hears of it when the jail is down: one
// that ran already would say ISUP afterwards.
func (h *Host) giveUp(ctx context.Context, r Record, t *tracer, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	err := h.takeDown(ctx, &r, "boot failed")
	h.tellFailed(ctx, r.VNode, t, why)
	if err != nil && !r.downUnwritten(err) {
		return errors.Join(why, err)
	}
	limit.Reap(r.VNode) // a stage 0 whose spawner died before it could tell us of it
	if r.Boot > 1 {
		return why // the disk may hold a user's work
	}
	return errors.Join(why, h.destroy(ctx, r.VNode))
}

// Halt ends the jail and keeps its disk.
func (h *Host) Halt(ctx context.Context, vnode string) error {
	r, err := h.load(vnode)
	if err != nil {
		return err
	}
	r.Desired = Halted
	if r.Phase == Down {
		return h.Site.Save(r)
	}
	return h.end(ctx, &r, "halted")
}

// Kill ends the jail and removes everything of it. No jail is success: that is
// what the caller wants. A jail whose files somebody on the host uses goes on as
// it is, as far as that can be told before its end.
func (h *Host) Kill(ctx context.Context, vnode string) error {
	if err := CheckName(vnode); err != nil {
		return err
	}
	if err := h.Unused(vnode); err != nil {
		return err
	}
	r, err := h.load(vnode)
	if errors.Is(err, ErrNoJail) {
		return h.destroy(ctx, vnode) // a kill may have been cut off just before the end
	}
	if err != nil {
		return err
	}
	r.Desired = Halted
	if r.Phase != Down {
		if err := h.end(ctx, &r, "killed"); err != nil && !r.downUnwritten(err) {
			return err
		}
	}
	return h.destroy(ctx, vnode)
}

// Ended is called when the jail's first process has ended by itself: it takes
// down what is left and keeps the disk, and says whether the jail asked to be
// started again.
func (h *Host) Ended(ctx context.Context, vnode string, status unix.WaitStatus) (again bool, err error) {
	r, err := h.load(vnode)
	if err != nil || r.Phase != Up {
		return false, err
	}
	words, again := Ending(status)
	if !again {
		r.Desired = Halted
	}
	h.Log.Info("jail ended by itself", "vnode", vnode, "how", words, "again", again)
	h.report(ctx, vnode, "SHUTDOWN")
	return again, h.takeDown(ctx, &r, words)
}

// spareDisk makes the next jail's disk ahead.
func (h *Host) spareDisk(ctx context.Context, made rootfs.Made) {
	if h.Hands.Later == nil {
		return
	}
	h.Hands.Later(func() {
		if err := h.templates.Spare(ctx, made); err != nil {
			h.Log.Info("no disk made ahead", "error", err)
		}
	})
}

// NoMoreSpares ends that, before what all jails share is removed.
func (h *Host) NoMoreSpares() { h.templates.Close() }

func (h *Host) load(vnode string) (Record, error) {
	r, err := h.Site.Load(vnode)
	if errors.Is(err, fs.ErrNotExist) {
		return r, ErrNoJail
	}
	return r, err
}

// end ends a jail in order: tmcd is told first, the jail's init ends its own
// processes within their grace, then the cgroup does.
func (h *Host) end(ctx context.Context, r *Record, words string) error {
	h.report(ctx, r.VNode, "SHUTDOWN")
	r.Phase = Leaving
	// A full disk keeps no jail: to end some makes room. Without this word the next
	// supervisor finds it up without its process, and does the same.
	if err := h.Site.Save(*r); err != nil && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	pidfd, err := r.pin()
	if err == nil {
		defer pidfd.Close()
		err = signal(pidfd, unix.SIGUSR1)
		if err == nil {
			_, err = AwaitExit(ctx, pidfd, h.Site.Grace+graceMargin)
		}
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the jail's processes: %w", err)
	}
	return h.takeDown(ctx, r, words)
}

// downUnwritten tells whether the jail is down and only its record couldn't be
// written, for want of room: who removes the record next may go on.
func (r Record) downUnwritten(err error) bool { return r.Phase == Down && errors.Is(err, unix.ENOSPC) }

// takeDown undoes the boot. What is half undone is gone on with next time.
func (h *Host) takeDown(ctx context.Context, r *Record, words string) error {
	log, err := plan.OpenLog(h.Site.bootLog(r.VNode))
	if err != nil {
		return err
	}
	if err := log.Unwind(ctx, h.deeds()); err != nil {
		return fmt.Errorf("take %s down: %w", r.VNode, err)
	}
	r.Phase, r.Ended = Down, words
	r.PID, r.StartTime, r.Cgroup, r.CgroupDir = 0, 0, 0, ""
	return h.Site.Save(*r)
}
