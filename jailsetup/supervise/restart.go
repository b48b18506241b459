package supervise

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"emujail/jailsetup/jail"
)

// A boot costs the host more than the jail that asks for it. Reboots that are
// typed inside are done at once, so many together, and then one each
// restartEvery: a jail that reboots all the time waits, and nobody else.
const (
	restartBurst = 10
	restartEvery = 15 * time.Second
)

// restarts are what one vnode may still have at once; the zero value is none
// taken yet.
type restarts struct {
	left float64
	at   time.Time
}

// take takes one out and returns how long the boot has to wait.
func (r *restarts) take(now time.Time) time.Duration {
	if r.at.IsZero() {
		r.left = restartBurst
	} else {
		r.left = min(restartBurst, r.left+now.Sub(r.at).Seconds()/restartEvery.Seconds())
	}
	r.at = now
	r.left--
	if r.left >= 0 {
		return 0
	}
	return time.Duration(-r.left * float64(restartEvery))
}

// restBefore waits until the vnode may boot by itself again. The vnode isn't
// held meanwhile: verbs come before. false: ctx has ended.
func (s *Supervisor) restBefore(ctx context.Context, vnode string) bool {
	s.mu.Lock()
	r := s.restarts[vnode]
	if r == nil {
		r = &restarts{}
		s.restarts[vnode] = r
	}
	pause := r.take(time.Now())
	s.mu.Unlock()
	if pause == 0 {
		return ctx.Err() == nil
	}
	s.log.Warn("jail reboots all the time: it waits", "vnode", vnode, "pause", pause)
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// bootAgain boots the jail that asked for it, unless a verb has decided
// otherwise since.
func (s *Supervisor) bootAgain(ctx context.Context, r jail.Record) error {
	unlock, err := s.lock(ctx, r.VNode, nil)
	if err != nil {
		return nil // we are ending
	}
	defer unlock()
	now, err := s.host.Site.Load(r.VNode)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || now.Boot != r.Boot || now.Phase != jail.Down || now.Desired != jail.Running {
		return err
	}
	return s.boot(ctx, r.VNode, time.Now(), nil)
}
