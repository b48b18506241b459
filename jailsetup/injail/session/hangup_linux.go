package session

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hangUp ends the session's processes as a lost line does: SIGHUP, and
// SIGKILL for those that are there after the grace. A process that made a
// session of its own, as daemons do, stays.
func (l *live) hangUp() {
	l.signalGroup(unix.SIGHUP)
	if l.p.tty {
		l.p.closeAll() // the kernel sends SIGHUP to whoever has this terminal
	} else {
		l.p.stdin.Close()
	}
	for end := time.Now().Add(hangupGrace); time.Now().Before(end) && len(l.members()) > 0; {
		l.pause()
	}
	for _, pid := range l.members() {
		unix.Kill(pid, unix.SIGKILL)
	}
	<-l.p.Done()
}

// pause waits a little, or for the command's end if that comes first.
func (l *live) pause() {
	t := time.NewTimer(hangupGrace / 20)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ended():
	}
}

// ended is the command's Done as long as that is news.
func (l *live) ended() <-chan struct{} {
	select {
	case <-l.p.Done():
		return nil
	default:
		return l.p.Done()
	}
}

// signalGroup signals the terminal's foreground group, or the command's.
func (l *live) signalGroup(s unix.Signal) {
	group := l.p.PID
	if l.p.tty {
		control(l.p.stdin, func(fd int) {
			if n, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil && n > 0 {
				group = n
			}
		})
	}
	if l.ended() != nil { // else its number may be another's by now
		unix.Kill(-group, s)
	}
}

// members lists the processes of the session. The command itself is one of
// them while it lives, even when /proc doesn't tell.
func (l *live) members() []int {
	var pids []int
	if l.ended() != nil {
		pids = append(pids, l.p.PID)
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return pids
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return pids
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && pid != l.p.PID && sessionOf(name) == l.p.PID {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sessionOf reads the session from /proc/<pid>/stat: the fourth field after
// the command's closing parenthesis. 0 when there is no such process.
func sessionOf(pid string) int {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 4 {
		return 0
	}
	n, err := strconv.Atoi(f[3])
	if err != nil {
		return 0
	}
	return n
}
