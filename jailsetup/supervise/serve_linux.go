package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/check"
	"emujail/jailsetup/hub"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
	"emujail/jailsetup/peer"
	"emujail/jailsetup/shape"
)

// bootsAtOnce bounds how many jails are being built at a time: as many as the site
// says, else by the cores: each wants one, and waits for the kernel half of its time.
func bootsAtOnce(site jail.Site) int {
	if site.BootsAtOnce > 0 {
		return site.BootsAtOnce
	}
	return max(4, 2*runtime.NumCPU())
}

// Supervisor is the one process a host. Its methods are called by Serve alone.
type Supervisor struct {
	host    *jail.Host
	log     *slog.Logger
	proxy   *proxyKeeper
	links   *shape.Keeper
	watch   *watcher
	hub     *hub.Hub
	manager manager
	slots   chan struct{} // for building
	stop    context.CancelFunc

	group sync.WaitGroup // every goroutine but Serve's own

	mu       sync.Mutex
	doors    map[string]*door
	locks    map[string]chan struct{} // a vnode is one verb's at a time
	boots    chan struct{}            // closed: none may begin
	restarts map[string]*restarts
}

// ErrServed says that another supervisor serves this site.
var ErrServed = errors.New("a supervisor serves this host already")

// Serve runs the supervisor until ctx ends or a client says stop. Jails go on
// without it, for the next one to adopt.
func Serve(ctx context.Context, site jail.Site, log *slog.Logger) error {
	if err := check.Ready(); err != nil {
		return err
	}
	lock, err := takeLock(site)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := start(ctx, site, log)
	if err != nil {
		return err
	}
	s.stop = cancel
	return s.serve(ctx)
}

// takeLock makes the site's directories and takes its lock, which dies with
// the process.
func takeLock(site jail.Site) (*os.File, error) {
	for _, d := range [...]string{site.State, filepath.Join(site.State, ".root"), site.Run, filepath.Join(site.Run, "jails")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(filepath.Join(site.Run, "serve.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !stillNamed(f) { // somebody is about to leave
		err = ErrServed
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// stillNamed tells whether the file is the one with its name.
func stillNamed(f *os.File) bool {
	ours, err := f.Stat()
	named, nameErr := os.Lstat(f.Name())
	return err == nil && nameErr == nil && os.SameFile(ours, named)
}

// start does all that must be so before the first verb: the control network,
// the programs, the way back from a crash, the proxy.
func start(ctx context.Context, site jail.Site, log *slog.Logger) (*Supervisor, error) {
	// Jails' first processes become ours when jailspawn ends, so we reap them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become subreaper: %w", err)
	}
	watch, err := newWatcher()
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		log: log, watch: watch,
		slots: make(chan struct{}, bootsAtOnce(site)),
		doors: map[string]*door{}, locks: map[string]chan struct{}{}, boots: make(chan struct{}), restarts: map[string]*restarts{},
	}
	if err := settlePrefix(ctx, &site); err != nil {
		return nil, err
	}
	if s.hub, err = hub.New(site.EventsDir(), log); err != nil {
		return nil, err
	}
	if s.links, err = shape.NewKeeper(site.Run, filepath.Join(site.Programs, "delaynode"), site.GuardCapture, log); err != nil {
		return nil, err
	}
	s.host, err = jail.NewHost(site, jail.Hands{
		Open: s.open, Close: s.shut, Events: jail.EventHands{Open: s.openEvents, Close: s.hub.Close}, Shapes: shape.Hands{Shape: s.links.Shape, Unshape: s.links.Unshape},
		Later: s.group.Go,
	}, log)
	if err != nil {
		return nil, err
	}
	// What may be wrong with the settings comes before the network, which stays.
	if s.host.Tmcd, err = jail.FindTmcd(ctx, site, log); err != nil {
		return nil, err
	}
	if s.proxy, err = newProxyKeeper(site, s.host.Tmcd, log); err != nil {
		return nil, err
	}
	s.proxy.doors, s.proxy.group = s.allDoors, &s.group
	if s.manager, err = newManager(); err != nil {
		return nil, err
	}
	if err := network.EnsureControl(ctx, s.host.Network); err != nil {
		return nil, err
	}
	if before, err := check.RaiseFileMax(site.Setup()); err == nil && before > 0 {
		log.Info("fs.file-max is raised: one jail could have filled the host's table of open files", "before", before)
	}
	for _, a := range check.Advise(site.Setup()) {
		log.Warn(a.About+": "+a.Found, "remedy", a.Remedy)
	}
	return s, nil
}

// settlePrefix replaces an automatic control prefix by a free one.
func settlePrefix(ctx context.Context, site *jail.Site) error {
	if !site.AutoPrefix() {
		return nil
	}
	prefix, err := network.FreePrefix(ctx, autoBits, network.DefaultUplink)
	if err != nil {
		return err
	}
	site.Control.Prefix = prefix.String()
	return nil
}

// autoBits is the size of a control prefix that is found: the address plan's.
const autoBits = 12

func (s *Supervisor) allDoors() []*door {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*door
	for _, d := range s.doors {
		all = append(all, d)
	}
	return all
}

// serve adopts what runs, takes verbs until ctx ends, and waits for all that it
// has begun.
func (s *Supervisor) serve(ctx context.Context) error {
	stopRead, stopWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stopRead.Close()
	watched := make(chan error, 1)
	s.group.Go(func() { watched <- s.watchEnds(stopRead) })
	s.group.Go(func() { s.hub.Run(ctx) })
	s.adopt(ctx)
	s.group.Go(func() { s.proxy.run(ctx) })
	s.group.Go(func() { keepLog(ctx, s.host.Site, s.log) })
	s.group.Go(func() { s.proxy.mind(ctx) })
	s.group.Go(func() { s.links.Run(ctx) }) // what recovery took down is not set up again

	l, err := s.listen()
	if err == nil {
		err = s.publish(ctx)
	}
	if err == nil {
		context.AfterFunc(ctx, func() { l.Close() })
		if err := s.manager.ready(); err != nil {
			s.log.Warn("service manager doesn't hear that all is ready", "error", err)
		}
		s.log.Info("serving", "socket", s.host.Site.ServeSocket(), "control", s.host.Network.String())
		s.accept(ctx, l)
	}
	s.stop()
	_ = s.manager.stopping() // it sees our end anyway
	stopWrite.Close()
	for _, d := range s.allDoors() {
		err = errors.Join(err, d.close())
	}
	err = errors.Join(err, s.hub.Shutdown())
	s.group.Wait()
	return errors.Join(err, <-watched)
}

// watchEnds tells the ends of first processes until stop is readable. If it
// can't it stops the supervisor: the next one sees all that has ended.
func (s *Supervisor) watchEnds(stop *os.File) error {
	err := s.watch.run(stop, &s.group)
	if err != nil {
		s.log.Error("processes are not watched any more", "error", err)
		s.stop()
	}
	return err
}

// listen binds the verbs' socket; the lock is ours, so an old one is dead.
func (s *Supervisor) listen() (*net.UnixListener, error) {
	return bind(s.host.Site.ServeSocket(), 0o600)
}

// accept takes verbs until the listener is closed, which the end of ctx does.
func (s *Supervisor) accept(ctx context.Context, l *net.UnixListener) {
	defer os.Remove(s.host.Site.ServeSocket())
	peer.Serve(ctx, l, func(err error) { s.log.Warn("verb not accepted", "error", err) }, func(c peer.Conn) {
		s.group.Go(func() {
			defer c.Close()
			s.handle(ctx, c.UnixConn)
		})
	})
}

// adopt recovers from whatever the last supervisor left and opens the doors of
// the jails that run, by the sockets that outlived it where there are some. The
// earlier proxy goes on to serve them until ours does.
func (s *Supervisor) adopt(ctx context.Context) {
	kept := stored()
	s.proxy.inherit(ctx)
	records, again, err := s.host.Recover(ctx)
	if err != nil {
		s.log.Error("not all could be recovered", "error", err)
	}
	s.forgetOthers()
	for _, r := range records {
		found := s.proven(r.VNode, kept[r.VNode], sockets{tmcc: s.proxy.inherited(r.VNode)})
		delete(kept, r.VNode)
		if err := s.reopen(r, found); err != nil {
			s.log.Error("sockets not opened", "vnode", r.VNode, "error", err)
		}
		if err := s.openEvents(ctx, s.host.Site.EventDoor(r)); err != nil {
			s.log.Error("no events", "vnode", r.VNode, "error", err)
		}
		switch err := s.watchJail(ctx, r); {
		case errors.Is(err, os.ErrProcessDone): // while the others were recovered
			if _, err := s.host.RecoverOne(ctx, r.VNode); err != nil {
				s.log.Error("jail that ended is not taken down", "vnode", r.VNode, "error", err)
			}
			continue
		case err != nil:
			s.log.Error("jail not watched", "vnode", r.VNode, "error", err)
		}
		s.log.Info("adopted", "vnode", r.VNode, "pid", r.PID)
	}
	for _, r := range again {
		s.group.Go(func() { s.comeBack(ctx, r) })
	}
	for vnode := range kept { // of jails that are gone
		s.proven(vnode, kept[vnode])
		if err := s.manager.drop(vnode); err != nil {
			s.log.Warn("service manager keeps sockets of no use", "vnode", vnode, "error", err)
		}
	}
}

// watchJail tells us the end of the jail's first process.
func (s *Supervisor) watchJail(ctx context.Context, r jail.Record) error {
	pidfd, err := r.Pin()
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("its first process has ended already: %w", err)
	}
	if err != nil {
		return err
	}
	return s.watch.add(pidfd, func(f *os.File) { s.ended(ctx, r, f) })
}

// ended handles a first process that ended by itself, and boots the jail again
// if that is what it asked for.
func (s *Supervisor) ended(ctx context.Context, r jail.Record, pidfd *os.File) {
	if s.takeEnd(ctx, r, pidfd) {
		s.comeBack(ctx, r)
	}
}

// comeBack boots a jail whose reboot was typed inside, when it may.
func (s *Supervisor) comeBack(ctx context.Context, r jail.Record) {
	if !s.restBefore(ctx, r.VNode) {
		return
	}
	if err := s.bootAgain(ctx, r); err != nil {
		s.log.Error("jail doesn't come back", "vnode", r.VNode, "error", err)
	}
}

// takeEnd takes down what is left of a jail that ended by itself and tells
// whether it asked to be started again. One that a verb ended is that verb's:
// the record says so by the time we have the vnode.
func (s *Supervisor) takeEnd(ctx context.Context, r jail.Record, pidfd *os.File) (again bool) {
	unlock, err := s.lock(ctx, r.VNode, nil)
	if err != nil {
		return false // we are ending; the next supervisor finds it
	}
	defer unlock()
	now, err := s.host.Site.Load(r.VNode)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("jail that ended is not taken down", "vnode", r.VNode, "error", err)
	}
	if err != nil || now.Phase != jail.Up || !now.SameProcess(r) {
		reap(pidfd)
		return false
	}
	status, err := jail.Exit(pidfd)
	if err != nil {
		s.log.Warn("exit status unknown", "vnode", r.VNode, "error", err)
	}
	for left := endTries; ; left-- {
		again, err = s.host.Ended(ctx, r.VNode, status)
		if err == nil {
			return again
		}
		s.log.Error("jail that ended is not taken down", "vnode", r.VNode, "tries_left", left-1, "error", err)
		if left == 1 {
			return false // the next verb finds it, or the next supervisor
		}
		select {
		case <-time.After(endPause):
		case <-ctx.Done():
			return false
		}
	}
}

// A jail that ended is taken down by nobody else, so what fails in passing is
// tried again.
const (
	endTries = 5
	endPause = 2 * time.Second
)

// reap takes a process that is ours and has ended out of the process table.
func reap(pidfd *os.File) { _, _ = jail.Exit(pidfd) }
