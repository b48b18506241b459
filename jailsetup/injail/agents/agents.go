// Package agents is the process inside a jail that acts on events and reports:
// `injail agents`. One process for all of them, since each Go process costs a
// jail one to two MiB of its own:
//
//	watchdog     isalive, rusage, account updates          package watchdog
//	trafgen      the traffic generators                    package trafgen
//	progagent    programs, the start-up command            package progagent
//
// Events come two ways:
//
//	hub (host)  ── /run/emulab/events ──┐   lines of package event, signed
//	injail event ── Paths.Socket ───────┴→ dispatch ── by object ──→ one of them
//
// What comes from the hub must be of this experiment and signed with its key
// (event.Guard). What comes over the process's own socket is the word of the
// jail's root, which is the only one who can connect.
//
// The records are read from the jail's cache of replies, at the start and when
// the configuration step says that they have changed (RELOAD): what stays the
// same isn't disturbed. Without a hub the process waits, and asks again, for as
// long as it lives. TERM or INT ends it cleanly; the pid file goes last.
//
// See docs/spec/jail.md §3.8, §3.9 and §6.2.
package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/progagent"
	"emujail/jailsetup/injail/trafgen"
	"emujail/jailsetup/injail/watchdog"
	"emujail/tmcc/cache"
	"emujail/tmcc/client"
)

// Paths are where an agents process finds and leaves things.
type Paths struct {
	Root   string // the jail's root directory
	Boot   string // configuration: cache, eventkey, nickname
	Socket string // ours, for `injail event`; root only
	PID    string // pid file
	Hub    string // the host's event socket
	TMCD   string // the proxy's socket, where the file proxypath is missing
	Logs   string // what generators and programs leave for the user
	Ran    string // exists once the start-up command was run in this boot
}

// Below returns the paths of a jail whose root directory is root.
func Below(root string) Paths {
	at := func(p string) string { return filepath.Join(root, p) }
	return Paths{
		Root:   root,
		Boot:   at(cache.BootDir),
		Socket: at("/run/injail/agents.sock"),
		PID:    at("/run/injail/agents.pid"),
		Hub:    at("/run/emulab/events"),
		TMCD:   at("/run/emulab/tmcc"),
		Logs:   at("/local/logs"),
		Ran:    at("/run/injail/startupcmd.ran"),
	}
}

// Run is one agents process: it works until ctx ends. ready is called when
// the socket answers and the sinks had time to listen.
func Run(ctx context.Context, p Paths, log *slog.Logger, ready func()) (err error) {
	a := &agents{paths: p, log: log}
	if err := a.open(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Socket), 0o755); err != nil {
		return err
	}
	l, err := listen(p.Socket)
	if err != nil {
		return err
	}
	self := fmt.Appendf(nil, "%d\n", os.Getpid())
	if err := os.WriteFile(p.PID, self, 0o644); err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, removeOwn(p.PID, self)) }()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.ctx = ctx
	var work sync.WaitGroup
	work.Go(func() { a.generators.Run(ctx) })
	work.Go(func() { a.serve(ctx, l) })
	work.Go(func() { a.followHub(ctx) })
	work.Go(func() { a.dog.Run(ctx) })
	a.waitSinks(ctx)
	ready()
	<-ctx.Done()
	a.programs.Close()
	work.Wait()
	return nil
}

// removeOwn removes a file that holds what this process wrote. The socket has
// been silent for a while, and another process may have taken both over.
func removeOwn(path string, self []byte) error {
	now, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !bytes.Equal(now, self) {
		return err
	}
	return os.Remove(path)
}

// agents is the process.
type agents struct {
	paths      Paths
	log        *slog.Logger
	ctx        context.Context // of Run, for what programs' ends set off
	stream     *client.Client  // tmcd through the proxy
	datagram   *client.Client  // the same, and by UDP beyond
	generators *trafgen.Set
	programs   *progagent.Set
	dog        *watchdog.Watchdog
	upstream   upstream

	mu    sync.Mutex // held while an event is judged
	guard event.Guard
}

// waitSinks gives the sinks a moment to bind, so that whoever waits for us can
// send START at once. An address that isn't there yet doesn't hold us up.
func (a *agents) waitSinks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.generators.Bound(ctx); err != nil {
		a.log.Info("agents: " + err.Error())
	}
}

// dispatch finds whom an event is for and hands it over. An object is a
// program or a generator; no two have one name.
func (a *agents) dispatch(ctx context.Context, e event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if e.Type == event.Program || e.Type != event.Time && a.programs.Has(e.Object) {
		return a.programs.Deliver(ctx, e)
	}
	return a.generators.Deliver(ctx, e)
}

// judge holds an event of the hub against the experiment and its key.
func (a *agents) judge(e event.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.Check(e, time.Now())
}
