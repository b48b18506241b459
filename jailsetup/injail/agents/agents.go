// Package agents is the process inside a jail that acts on events: `injail
// agents`. One process for all of them, since each Go process costs a jail one
// to two MiB of its own: so far the traffic generators (package trafgen).
//
//	hub (host)  ── /run/emulab/events ──┐   lines of package event, signed
//	injail event ── Paths.Socket ───────┴→ dispatch ── by object ──→ trafgen.Set
//
// What comes from the hub must be of this experiment and signed with its key
// (event.Guard). What comes over the process's own socket is the word of the
// jail's root, which is the only one who can connect.
//
// The records are read from the jail's cache of replies when the process
// starts; the configuration step starts it anew when they have changed.
// Without a hub it waits, and asks again, for as long as it lives. TERM or INT
// ends it cleanly; the pid file goes last.
//
// See docs/spec/jail.md §3.8 and §6.2.
package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emujail/jailsetup/event"
	"emujail/jailsetup/injail/trafgen"
	"emujail/protocol"
	"emujail/tmcc/cache"
)

// Paths are where an agents process finds and leaves things.
type Paths struct {
	Boot   string // configuration: cache, eventkey, nickname
	Socket string // ours, for `injail event`; root only
	PID    string // pid file
	Hub    string // the host's event socket
	Logs   string // for the generators' NAME.json
}

// Below returns the paths of a jail whose root directory is root.
func Below(root string) Paths {
	at := func(p string) string { return filepath.Join(root, p) }
	return Paths{
		Boot:   at(cache.BootDir),
		Socket: at("/run/injail/agents.sock"),
		PID:    at("/run/injail/agents.pid"),
		Hub:    at("/run/emulab/events"),
		Logs:   at("/local/logs"),
	}
}

// Run is one agents process: it works until ctx ends. ready is called when
// the socket answers and the sinks had time to listen.
func Run(ctx context.Context, p Paths, log *slog.Logger, ready func()) (err error) {
	a := &agents{paths: p, log: log}
	if err := a.load(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Socket), 0o755); err != nil {
		return err
	}
	l, err := listen(p.Socket)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.PID, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, os.Remove(p.PID)) }()

	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{}, 3)
	run := func(f func(context.Context)) {
		go func() {
			f(ctx)
			done <- struct{}{}
		}()
	}
	run(a.set.Run)
	run(func(ctx context.Context) { a.serve(ctx, l) })
	run(a.followHub)
	a.waitSinks(ctx)
	ready()
	<-ctx.Done()
	stop()
	for range cap(done) {
		<-done
	}
	return nil
}

type agents struct {
	paths Paths
	log   *slog.Logger
	set   *trafgen.Set
	guard event.Guard
}

// load reads the jail's configuration. Records that can't be used are logged,
// the others work.
func (a *agents) load() error {
	c, err := cache.Open(a.paths.Boot, "")
	if err != nil {
		return err
	}
	reply, _, err := c.Read("trafgens")
	if err != nil {
		return err
	}
	recs, err := protocol.ParseTrafGens(reply)
	if err != nil {
		a.log.Warn("agents: trafgens: " + err.Error())
	}
	a.set, err = trafgen.New(recs, trafgen.Options{LogDir: a.paths.Logs, Logger: a.log})
	if err != nil {
		a.log.Warn("agents: " + err.Error())
	}
	a.guard.Experiment, err = experiment(a.paths.Boot)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(a.paths.Boot, "eventkey"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.guard.Key = key
	return nil
}

// experiment makes pid/eid of the nickname file's vname.eid.pid.
func experiment(boot string) (string, error) {
	text, err := os.ReadFile(filepath.Join(boot, "nickname"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	parts := strings.Split(strings.TrimSpace(string(text)), ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("%s: want vname.eid.pid, got %q", filepath.Join(boot, "nickname"), text)
	}
	return parts[2] + "/" + parts[1], nil
}

// waitSinks gives the sinks a moment to bind, so that whoever waits for us can
// send START at once. An address that isn't there yet doesn't hold us up.
func (a *agents) waitSinks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.set.Bound(ctx); err != nil {
		a.log.Info("agents: " + err.Error())
	}
}

// dispatch finds whom an event is for and hands it over.
func (a *agents) dispatch(ctx context.Context, e event.Event) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return a.set.Deliver(ctx, e)
}

// printStatus writes a line for each generator.
func printStatus(w io.Writer, all []trafgen.Status) {
	for _, s := range all {
		fmt.Fprintf(w, "%-16s %-6s %s %-8s sent %d received %d lost %d errors %d\n", s.Name, s.Role, s.Proto, s.State,
			s.Total.SentPackets, s.Total.ReceivedPackets, s.Total.Lost, s.Total.Errors)
	}
}
