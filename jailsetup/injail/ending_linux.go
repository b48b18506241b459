package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The orders that end a jail. USR1 is the host's and stands in the spec
// (spec/jail.md §4.2); the others are systemd's, sent by the words reboot,
// halt and poweroff inside, which only root may.
const (
	sigHalt     = syscall.Signal(34 + 3) // SIGRTMIN+3
	sigPowerOff = syscall.Signal(34 + 4)
	sigReboot   = syscall.Signal(34 + 5)
)

// atOnce is what an order's number grows by if nobody is asked to end first, as
// with systemd: the words' option -f. PID 1 itself calls reboot(2) then; by another
// process it shows as SIGKILL now and then to who isn't PID 1's parent.
const atOnce = 10

// orders are the signals that end a jail.
func orders() []os.Signal {
	return []os.Signal{unix.SIGUSR1, sigHalt, sigPowerOff, sigReboot, sigHalt + atOnce, sigPowerOff + atOnce, sigReboot + atOnce}
}

// exitSignalled is PID 1's exit status after USR1: the signal's number, as the
// original had it.
const exitSignalled = int(unix.SIGUSR1)

// ending is how a jail ends: by reboot(2), or by leaving with a status. To the
// parent outside, reboot(2) looks like death by SIGHUP (reboot) or SIGINT
// (halt and power-off); spec/linux.md §4.
type ending struct {
	word string // for the log
	how  int    // LINUX_REBOOT_CMD_…; 0: leave with code
	code int
	now  bool // nobody is asked to end first
}

func orderOf(s os.Signal) ending {
	switch s {
	case sigHalt + atOnce, sigPowerOff + atOnce, sigReboot + atOnce:
		e := orderOf(s.(syscall.Signal) - atOnce)
		e.word, e.now = e.word+" at once", true
		return e
	case sigHalt:
		return ending{word: "halt", how: unix.LINUX_REBOOT_CMD_HALT, code: 128 + int(unix.SIGINT)}
	case sigPowerOff:
		return ending{word: "power off", how: unix.LINUX_REBOOT_CMD_POWER_OFF, code: 128 + int(unix.SIGINT)}
	case sigReboot:
		return ending{word: "reboot", how: unix.LINUX_REBOOT_CMD_RESTART, code: 128 + int(unix.SIGHUP)}
	}
	return ending{word: "told by the host to end", code: exitSignalled}
}

// afterKill bounds the wait for processes that were killed: one that hangs in
// the kernel must not keep the jail from ending.
const afterKill = 2 * time.Second

// end sends TERM to all, waits for the grace period or until nobody is left,
// sends KILL to all, and leaves. Another order that comes meanwhile, from the
// host too, changes how it leaves.
func (p *pid1) end(e ending) int {
	if e.word != "" {
		p.say(e.word)
	}
	p.reaper.Close()
	if !e.now {
		e = p.clear(e)
	}
	if e.how != 0 {
		err := unix.Reboot(e.how) // doesn't return
		p.say(fmt.Sprintf("reboot(2): %v; leaving with status %d instead", err, e.code))
	}
	return e.code
}

// clear ends all other processes, with grace.
func (p *pid1) clear(e ending) ending {
	unix.Kill(-1, unix.SIGTERM)
	unix.Kill(-1, unix.SIGCONT) // a stopped process can't act on TERM
	e, done := p.drain(e, p.settings.Grace)
	if !done {
		p.say("killed after " + p.settings.Grace.String() + ": " + strings.Join(survivors("/proc"), " "))
		unix.Kill(-1, unix.SIGKILL)
		e, _ = p.drain(e, afterKill)
	}
	return e
}

// drain collects the dead for d, or until this is the only process or has to
// leave at once.
func (p *pid1) drain(e ending, d time.Duration) (_ ending, done bool) {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	for {
		p.reaper.Collect()
		if nobody() {
			return e, true
		}
		select {
		case <-p.died:
		case s := <-p.orders:
			if e = orderOf(s); e.now {
				return e, true
			}
		case <-deadline.C:
			return e, false
		}
	}
}

// nobody tells whether PID 1 is alone. The kernel answers with the last error
// of many, so one dying process can hide the others once, hardly twice.
func nobody() bool {
	for range 2 {
		if unix.Kill(-1, 0) != unix.ESRCH {
			return false
		}
	}
	return true
}

// maxNamed bounds the list of processes that had to be killed.
const maxNamed = 20

// survivors names the processes in /proc but PID 1, as command(pid).
func survivors(proc string) []string {
	dir, err := os.Open(proc)
	if err != nil {
		return []string{err.Error()}
	}
	defer dir.Close()
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return []string{err.Error()}
	}
	var names []string
	more := 0
	for _, e := range entries {
		if n, err := strconv.Atoi(e); err != nil || n == 1 {
			continue
		}
		if len(names) == maxNamed {
			more++
			continue
		}
		comm := strings.TrimSpace(readFile(proc + "/" + e + "/comm"))
		names = append(names, fmt.Sprintf("%s(%s)", printable(comm), e))
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return names
}

// printable shows what is no printable ASCII as Go's strings do (\t, \x1b,
// \u00e9): a process chooses its own name.
func printable(s string) string {
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}
