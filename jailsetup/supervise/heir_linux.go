package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/wholefile"
	"emujail/proxy/control"
)

// A proxy outlives its supervisor: it goes on to serve, and waits at a socket
// for the next one, which takes the jails' sockets back from it, starts a proxy
// of its own, and lets this one drain.

// inheritTimeout bounds the talk with a proxy that was left behind: who waits
// longer had better bind anew.
const inheritTimeout = 500 * time.Millisecond

// predecessor is a proxy that an earlier supervisor left behind.
type predecessor struct {
	talk     *talk
	noted    noted
	sockets  map[string]*os.File // by vnode; not to be believed before they are checked
	retiring bool                // guarded by the keeper's lock
}

func (k *proxyKeeper) heirPath() string { return filepath.Join(k.site.Run, "proxy.sock") }
func (k *proxyKeeper) pidPath() string  { return filepath.Join(k.site.Run, "proxy.pid") }

// noted are the proxies that earlier supervisors wrote down and that still run:
// the one that waits for us, and one that was starting, or draining, when its
// supervisor died.
type noted struct {
	processes []jail.Process
	pidfds    []*os.File
}

// end ends them all, and forgets them.
func (n *noted) end() error {
	var errs []error
	for _, pidfd := range n.pidfds {
		errs = append(errs, endProcess(pidfd), pidfd.Close())
	}
	*n = noted{}
	return errors.Join(errs...)
}

// leave lets go of them all.
func (n *noted) leave() error {
	err := control.CloseFiles(n.pidfds)
	*n = noted{}
	return err
}

// notePID writes down which process the proxy is, for the next supervisor,
// beside those that are there from before.
func (k *proxyKeeper) notePID(pid int) error {
	p, err := jail.Identify(pid)
	if err != nil {
		return err
	}
	all := []jail.Process{p}
	k.mu.Lock()
	if k.old != nil {
		all = append(all, k.old.noted.processes...)
	}
	k.mu.Unlock()
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return wholefile.Write(k.pidPath(), append(data, '\n'), 0o600)
}

// pinOld opens pidfds of the proxies that were noted and haven't ended.
func (k *proxyKeeper) pinOld() (n noted, err error) {
	data, err := os.ReadFile(k.pidPath())
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	var all []jail.Process
	if err := json.Unmarshal(data, &all); err != nil {
		return n, fmt.Errorf("%s: %w", k.pidPath(), err)
	}
	var errs []error
	for _, p := range all {
		pidfd, err := p.Pin()
		if errors.Is(err, os.ErrProcessDone) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n.processes, n.pidfds = append(n.processes, p), append(n.pidfds, pidfd)
	}
	return n, errors.Join(errs...)
}

// giveHeir gives the proxy the socket at which it waits for the next supervisor.
// Nobody but root reaches it: the directory is closed.
func (k *proxyKeeper) giveHeir(t *talk) error {
	ln, err := bindAs("unixpacket", k.heirPath(), 0o600)
	if err != nil {
		return err
	}
	f, err := ln.File()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return errors.Join(t.ask(control.Message{Op: control.OpControl}, f), f.Close(), ln.Close())
}

// inherit asks a proxy that was left behind for the jails' sockets. One that
// doesn't answer is ended, for it may hold connections of jails that are gone.
func (k *proxyKeeper) inherit(ctx context.Context) {
	before, err := k.pinOld()
	if err != nil {
		k.log.Warn("earlier proxy is not looked for", "error", err)
	}
	old, err := k.takeBack(ctx)
	switch {
	case err == nil:
		old.noted = before
		k.mu.Lock()
		k.old = old
		k.mu.Unlock()
		k.log.Info("took sockets back from the earlier proxy", "sockets", len(old.sockets))
	case len(before.pidfds) > 0:
		k.log.Warn("earlier proxy doesn't hand its sockets over, it is ended", "error", err)
		if err := before.end(); err != nil {
			k.log.Error("earlier proxy doesn't end", "error", err)
		}
	}
}

func (k *proxyKeeper) takeBack(ctx context.Context) (*predecessor, error) {
	ctx, cancel := context.WithTimeout(ctx, inheritTimeout)
	defer cancel()
	conn, err := control.Dial(ctx, k.heirPath())
	if err != nil {
		return nil, err
	}
	t, err := k.begin(conn, inheritTimeout)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	late := context.AfterFunc(ctx, func() { _ = conn.Close() }) // its answers take no longer
	p := &predecessor{talk: t, sockets: map[string]*os.File{}}
	err = t.collect(control.Message{Op: control.OpReturn}, func(a answer) error { return p.take(a) })
	if err == nil && !late() {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, p.closeSockets(), t.end())
	}
	return p, nil
}

// maxInherited bounds the sockets that a proxy may hand over: there are ids for
// fewer jails.
const maxInherited = 1 << 15

// take keeps one part of the answer. All descriptors come out of it.
func (p *predecessor) take(a answer) error {
	if len(a.m.VNodes) != len(a.files) {
		return fmt.Errorf("%d names for %d sockets", len(a.m.VNodes), len(a.files))
	}
	if len(p.sockets)+len(a.files) > maxInherited {
		return fmt.Errorf("more than %d sockets", maxInherited)
	}
	for i, v := range a.m.VNodes {
		if old := p.sockets[v.VNode]; old != nil {
			return fmt.Errorf("vnode %q twice", v.VNode)
		}
		f, err := duplicate(a.files[i])
		if err != nil {
			return err
		}
		p.sockets[v.VNode] = f
		p.talk.note(v.VNode, nil)
	}
	return nil
}

// inherited takes the vnode's socket out of what the earlier proxy handed over;
// nil: it had none.
func (k *proxyKeeper) inherited(vnode string) *os.File {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.old == nil {
		return nil
	}
	f := k.old.sockets[vnode]
	delete(k.old.sockets, vnode)
	return f
}

func (p *predecessor) closeSockets() error {
	var errs []error
	for _, f := range p.sockets {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// unretired is the earlier proxy if it is there and nobody retires it yet. The
// caller has the lock.
func (k *proxyKeeper) unretired() *predecessor {
	if k.old == nil || k.old.retiring {
		return nil
	}
	return k.old
}

// leaveOld lets go of an earlier proxy that no other has replaced: it goes on to
// serve, and waits for the next supervisor.
func (k *proxyKeeper) leaveOld() {
	k.mu.Lock()
	old := k.unretired()
	if old != nil {
		k.old = nil
	}
	k.mu.Unlock()
	if old == nil {
		return
	}
	if err := errors.Join(old.talk.end(), old.closeSockets(), old.noted.leave()); err != nil {
		k.log.Warn("earlier proxy isn't left as it was", "error", err)
	}
}

// retire lets the earlier proxy drain, now that there is another one, or that it
// doesn't answer. Whatever it does, it ends.
func (k *proxyKeeper) retire() {
	k.mu.Lock()
	old := k.unretired()
	if old != nil {
		old.retiring = true
	}
	k.mu.Unlock()
	if old == nil {
		return
	}
	k.drain(old.talk)
	k.group.Go(func() {
		late := time.AfterFunc(drainTimeout, func() { _ = old.talk.conn.Close() })
		<-old.talk.gone
		late.Stop()
		k.mu.Lock()
		if k.old == old {
			k.old = nil
		}
		k.mu.Unlock()
		if err := errors.Join(old.talk.end(), old.closeSockets(), old.noted.end()); err != nil {
			k.log.Error("earlier proxy doesn't end", "error", err)
		}
	})
}

// endTime is how long a process may take to end: after its last word, and again
// after KILL.
const endTime = time.Second

// endProcess waits for the process to end, and kills it if it doesn't.
func endProcess(pidfd *os.File) error {
	ctx := context.Background()
	if ended, _ := jail.AwaitExit(ctx, pidfd, endTime); ended {
		return nil
	}
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	ended, err := jail.AwaitExit(ctx, pidfd, endTime)
	if err == nil && !ended {
		err = errors.New("it doesn't die")
	}
	return err
}
