package progagent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/steps/passwd"
)

// running is one run of a program.
type running struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is reaped

	mu       sync.Mutex
	timedOut bool
	timer    *time.Timer // the time-out, or the KILL after TERM
}

// start begins a run. The set's lock is held.
func (s *Set) start(p *program, c Command) error {
	if s.closed {
		return ErrClosed
	}
	if p.run != nil {
		return fmt.Errorf("%s: %w", p.name, ErrRunning)
	}
	began := time.Now()
	r, outputs, err := s.launch(p.name, c)
	if err != nil {
		err = fmt.Errorf("start %s: %w", p.name, err)
		o := Outcome{Name: p.name, Began: began, Ended: time.Now(), Exit: -1, Error: err.Error()}
		s.record(o) // before that of the next run
		s.work.Go(func() {
			s.closeOutputs(p.name, outputs)
			s.opt.Finished(o)
		})
		return err
	}
	p.run = r
	if c.Timeout > 0 {
		r.mu.Lock()
		r.timer = time.AfterFunc(c.Timeout, func() {
			r.mu.Lock()
			r.timedOut = true
			r.mu.Unlock()
			r.end(s.opt.Grace)
		})
		r.mu.Unlock()
	}
	s.work.Go(func() { s.await(p, r, c, began, outputs) })
	return nil
}

// launch starts the process. It waits for nobody: the outputs, some also after a
// failure, are the caller's to close.
func (s *Set) launch(name string, c Command) (*running, []io.Closer, error) {
	db, err := passwd.Read(s.opt.Etc)
	if err != nil {
		return nil, nil, err
	}
	u, ok := db.User(c.User)
	if !ok {
		return nil, nil, fmt.Errorf("no user %q", c.User)
	}
	cmd := exec.Command("/bin/sh", "-c", c.Text)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = u.Home
	}
	cmd.Env = s.environment(u)
	// A session of its own: signals reach the whole of it and nobody else.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = credential(db, u)
	}
	var outputs []io.Closer
	for _, o := range []struct {
		to     *io.Writer
		suffix string
	}{{&cmd.Stdout, ".out"}, {&cmd.Stderr, ".err"}} {
		w, keeper, err := s.keep(filepath.Join(s.opt.LogDir, name+o.suffix))
		if err != nil {
			return nil, outputs, err
		}
		*o.to = w
		defer w.Close() // the child has its own
		outputs = append(outputs, keeper)
	}
	if err := cmd.Start(); err != nil {
		return nil, outputs, err
	}
	return &running{cmd: cmd, ended: make(chan struct{})}, outputs, nil
}

// closeOutputs waits for the rest of them, the set's lock not being held.
func (s *Set) closeOutputs(program string, outputs []io.Closer) {
	var errs []error
	for _, o := range outputs {
		errs = append(errs, o.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.opt.Logger.Warn("progagent: "+err.Error(), "program", program)
	}
}

// credential is the user with all its groups.
func credential(db *passwd.DB, u passwd.User) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: []uint32{uint32(u.GID)}}
	for _, g := range db.Groups() {
		for _, m := range g.Members {
			if m == u.Name && g.GID != u.GID {
				c.Groups = append(c.Groups, uint32(g.GID))
			}
		}
	}
	return c
}

// environment is that of a login, then the experiment's.
func (s *Set) environment(u passwd.User) []string {
	env := []string{"HOME=" + u.Home, "USER=" + u.Name, "LOGNAME=" + u.Name, "SHELL=" + u.Shell,
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/etc/emulab"}
	for _, v := range s.env {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// await reaps the process and tells how it ended.
func (s *Set) await(p *program, r *running, c Command, began time.Time, outputs []io.Closer) {
	err := r.cmd.Wait()
	close(r.ended)
	r.mu.Lock()
	if r.timer != nil {
		r.timer.Stop()
	}
	o := Outcome{Name: p.name, Began: began, Ended: time.Now(), TimedOut: r.timedOut}
	r.mu.Unlock()
	o.Exit = exitCode(r.cmd, err)
	o.Expected = o.Exit == c.Expect && !o.TimedOut
	s.closeOutputs(p.name, outputs)
	s.mu.Lock()
	for _, q := range []*program{p, s.programs[p.name]} { // Update may have made another of it
		if q != nil && q.run == r {
			q.run = nil
		}
	}
	s.mu.Unlock()
	s.record(o)
	s.opt.Finished(o)
}

func exitCode(cmd *exec.Cmd, err error) int {
	if cmd.ProcessState == nil {
		return -1
	}
	ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// record writes NAME.status and a line of the log.
func (s *Set) record(o Outcome) {
	if err := s.writeStatus(o); err != nil {
		s.opt.Logger.Warn("progagent: "+err.Error(), "program", o.Name)
	}
	s.opt.Logger.Info("progagent: ended", "program", o.Name, "exit", o.Exit, "expected", o.Expected, "timed_out", o.TimedOut)
}

// end sends TERM to the group, and KILL if that isn't enough.
func (r *running) end(grace time.Duration) {
	r.signal(syscall.SIGTERM)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(grace, func() { r.signal(syscall.SIGKILL) })
}

// signal reaches the whole group, unless the leader is reaped: then its number
// may be another's.
func (r *running) signal(sig syscall.Signal) {
	select {
	case <-r.ended:
	default:
		_ = syscall.Kill(-r.cmd.Process.Pid, sig) // it may end meanwhile
	}
}

// kill sends a signal by name or number; KILL without one.
func (p *program) kill(name string) error {
	if p.run == nil {
		return fmt.Errorf("%s: %w", p.name, ErrIdle)
	}
	sig := syscall.SIGKILL
	if name != "" {
		sig = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
		if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 65 {
			sig = syscall.Signal(n)
		}
		if sig == 0 {
			return fmt.Errorf("%s: no signal %q", p.name, name)
		}
	}
	p.run.signal(sig)
	return nil
}
