// Package reap collects the dead of a PID namespace, as its PID 1 must, and
// tells those who started a process when it was theirs.
//
// wait4(-1) takes any child, so nobody else in the program may wait: os/exec
// and os.Process.Wait would lose their processes to it. Start here instead:
//
//	r := reap.New()
//	signal.Notify(died, unix.SIGCHLD)
//	child, err := r.Start(reap.Process{Path: "/bin/sh", Argv: …})
//	for range died { r.Collect() }   // one loop in the program
//	<-child.Done(); child.Status()
//
// Orphans that the kernel hands to PID 1 are collected by the same call; who
// wants to know of them sets Orphan. A program that isn't PID 1 can use the package too; then it
// collects its own children only.
package reap

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// ErrClosed tells that no process is started any more.
var ErrClosed = errors.New("going down")

// Process is what to start. The zero SysProcAttr keeps everything as it is.
type Process struct {
	Path string // the file to execute
	Argv []string
	Env  []string
	Dir  string // empty: where the caller is
	// Files become descriptors 0, 1, 2, …; what this program opened itself
	// stays behind. What it inherited without close-on-exec does not.
	Files []uintptr
	Sys   syscall.SysProcAttr
}

// Child is a process that Start made.
type Child struct {
	PID    int
	done   chan struct{}
	status syscall.WaitStatus
}

// Done is closed when the process has been collected.
func (c *Child) Done() <-chan struct{} { return c.done }

// Status is how it ended. Valid after Done only.
func (c *Child) Status() syscall.WaitStatus { return c.status }

// Code is the exit status as a shell shows it: 128 and the signal's number
// when one ended it. Valid after Done only.
func (c *Child) Code() int {
	if c.status.Signaled() {
		return 128 + int(c.status.Signal())
	}
	return c.status.ExitStatus()
}

// Reaper knows the children that someone waits for.
type Reaper struct {
	// Orphan is told of each dead process that Start didn't make. It is set
	// before the first Collect; nil: nobody wants to know.
	Orphan func(pid int)

	mu     sync.Mutex
	wanted map[int]*Child
	closed bool
}

// New returns a Reaper without children.
func New() *Reaper { return &Reaper{wanted: map[int]*Child{}} }

// Start starts a process. An error is the errno of the step that failed in
// the child (set-up, chdir or exec), with the path.
func (r *Reaper) Start(p Process) (*Child, error) {
	r.mu.Lock() // so that Collect meets the child only once it is known
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("start %s: %w", p.Path, ErrClosed)
	}
	pid, err := syscall.ForkExec(p.Path, p.Argv, &syscall.ProcAttr{
		Dir: p.Dir, Env: p.Env, Files: p.Files, Sys: &p.Sys,
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	c := &Child{PID: pid, done: make(chan struct{})}
	r.wanted[pid] = c
	return c, nil
}

// Close makes every further Start fail with ErrClosed.
func (r *Reaper) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// Collect takes every child that is dead by now, without waiting, and returns
// how many. Call it after each SIGCHLD: several deaths may make one signal.
func (r *Reaper) Collect() int {
	for n := 0; ; n++ {
		pid, known := r.collectOne()
		if pid <= 0 {
			return n
		}
		if !known && r.Orphan != nil {
			r.Orphan(pid)
		}
	}
}

// collectOne takes one dead child; pid 0: there is none.
func (r *Reaper) collectOne() (pid int, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ws syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
	for err == syscall.EINTR {
		pid, err = syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
	}
	if err != nil || pid <= 0 { // ECHILD: no children; 0: none is dead
		return 0, false
	}
	c := r.wanted[pid]
	if c == nil {
		return pid, false
	}
	delete(r.wanted, pid)
	c.status = ws
	close(c.done)
	return pid, true
}
