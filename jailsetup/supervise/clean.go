package supervise

import (
	"context"
	"errors"
	"net"

	"emujail/jailsetup/network"
)

// errCleaning is why no jail boots.
var errCleaning = errors.New("all jails of this host are being removed (down, stop --clean)")

// clean kills every jail and takes the control network away. Whoever boots
// meanwhile, though its client may be gone, is waited for and killed; nobody else
// may begin.
func (s *Supervisor) clean(ctx context.Context, c net.Conn) (err error) {
	unlock, err := s.lock(ctx, "", nil) // no vnode's name: one cleans at a time
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.host.Removable(); err != nil {
		return err // before the first jail is ended
	}
	busy := s.endBoots()
	defer func() {
		if err != nil { // the supervisor goes on
			s.allowBoots()
		}
	}()
	names, err := s.host.Site.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range append(busy, names...) { // all: one jail may hold what another's end waits for
		errs = append(errs, s.change(ctx, c, Request{Verb: VerbKill, VNode: name}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := network.RemoveControl(ctx, s.host.Network); err != nil {
		return err
	}
	s.host.NoMoreSpares()
	return s.host.Site.RemoveShared()
}

// endBoots has no boot begin until [Supervisor.allowBoots], and returns the vnodes
// that a verb may be at.
func (s *Supervisor) endBoots() (busy []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.boots: // somebody has cleaned, and we are about to stop
	default:
		close(s.boots)
	}
	for vnode, l := range s.locks {
		if vnode != "" && len(l) > 0 {
			busy = append(busy, vnode)
		}
	}
	return busy
}

func (s *Supervisor) allowBoots() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boots = make(chan struct{})
}

// noBoots is closed when no boot may begin.
func (s *Supervisor) noBoots() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boots
}
