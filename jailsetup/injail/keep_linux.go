package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/reap"
)

// The agents process is started by the configuration and is PID 1's child from
// the first (option -detach): how long the configuration takes doesn't matter. Its
// pid file goes last at a clean end: one that still names a process that has died
// means that it was killed, and it is started again.
const (
	agentsPIDFile = "/run/injail/agents.pid"
	agentsLog     = "/var/emulab/logs/agents.log"
)

// Pauses before the agents are started again. They double with each death, and
// begin anew once the agents have lived for a while.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
	longLife   = time.Minute
)

// keeper starts the agents again when somebody has killed them.
type keeper struct {
	start   func(reap.Process) (*reap.Child, error)
	say     func(string)
	pidFile string
	log     string
	program string // injail-rc

	mu    sync.Mutex
	pause time.Duration
	began time.Time
}

func newKeeper(r *reap.Reaper, say func(string)) *keeper {
	program := "/run/emulab/bin/injail-rc"
	if self, err := os.Executable(); err == nil {
		program = filepath.Join(filepath.Dir(self), "injail-rc")
	}
	return &keeper{start: r.Start, say: say, pidFile: agentsPIDFile, log: agentsLog, program: program}
}

// died is told of every process that PID 1 has collected and nobody waits for.
func (k *keeper) died(pid int) {
	if pid != k.agents() {
		return
	}
	time.AfterFunc(k.next(time.Now()), func() { k.restart(pid) })
}

// next is how long to wait after a death.
func (k *keeper) next(now time.Time) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pause == 0 || now.Sub(k.began) > longLife {
		k.pause = firstPause
	}
	pause := k.pause
	k.pause = min(2*k.pause, lastPause)
	return pause
}

// restart starts the agents, unless somebody has done so or they aren't wanted
// any more.
func (k *keeper) restart(dead int) {
	if k.agents() != dead {
		return
	}
	k.mu.Lock()
	k.began = time.Now()
	k.mu.Unlock()
	child, err := k.launch()
	if errors.Is(err, reap.ErrClosed) {
		return
	}
	if err != nil {
		k.say(fmt.Sprintf("agents (process %d) were killed: %v", dead, err))
		time.AfterFunc(k.next(time.Now()), func() { k.restart(dead) })
		return
	}
	k.say(fmt.Sprintf("agents (process %d) were killed; started again as %d", dead, child.PID))
	go func() { // ends with the child, which no jail outlives
		<-child.Done()
		// One that ended before it wrote its pid leaves the dead one's.
		if now := k.agents(); now == child.PID || now == dead {
			time.AfterFunc(k.next(time.Now()), func() { k.restart(now) })
		}
	}()
}

func (k *keeper) launch() (*reap.Child, error) {
	out, err := openPlain(k.log, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return k.start(reap.Process{
		Path: k.program, Argv: []string{k.program, "agents"}, Dir: "/",
		Env:   []string{"PATH=" + startPath, "HOME=/root"},
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   syscall.SysProcAttr{Setsid: true},
	})
}

// agents reads the pid file; 0: there is none.
func (k *keeper) agents() int {
	f, err := openPlain(k.pidFile, unix.O_RDONLY)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}

// openPlain opens a regular file without waiting for anybody: a fifo in its
// place must not stop PID 1.
func openPlain(path string, flags int) (*os.File, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
