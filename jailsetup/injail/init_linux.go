package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/reap"
	"emujail/jailsetup/injail/session"
)

// startPath is the search path of everything at boot (spec/jail.md §1.2).
const startPath = "/usr/local/etc/emulab:/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"

// consoleSocket is where the host waits for us, for "jailsetup enter".
const consoleSocket = "/run/emulab/console"

// pid1 is a jail's init while it runs.
type pid1 struct {
	settings settings
	reaper   *reap.Reaper
	log      *os.File // /var/log/console.log
	died     chan os.Signal
	orders   chan os.Signal // the signals that end the jail
}

// initMain is PID 1's life: listen to signals, prepare, serve the console,
// start /etc/rc or the given command, collect the dead until told to end.
func initMain(args []string) int {
	runtime.GOMAXPROCS(1)
	// reboot(2) by another thread than the main one shows as SIGKILL to a
	// supervisor that isn't the parent any more.
	runtime.LockOSThread()
	p := &pid1{reaper: reap.New(), died: make(chan os.Signal, 1), orders: make(chan os.Signal, 4)}
	p.listen() // first: until then a signal could end the jail
	openStandardFiles()
	vnode, command := parseInit(args)
	if vnode == "" {
		vnode = os.Getenv("TMCCVNODEID")
	}
	var confErr error
	p.settings, confErr = readSettings(confFile, vnode)
	prepErr := prepare("", p.settings)
	p.log = consoleLog("")
	for _, err := range []error{confErr, prepErr} {
		if err != nil {
			p.say("prepare: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	nameProcess(p.settings.VNode)
	p.reaper.Orphan = newKeeper(p.reaper, p.say).died

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Neither is waited for: they end with PID 1, which ends after all other
	// processes, those of sessions too.
	go p.serveConsole(ctx)
	go p.serveInitctl() // blocked in a read of the fifo, which nothing calls off
	child, err := p.start(command)
	if err != nil {
		p.say(err.Error())
	}
	return p.live(child, len(command) > 0)
}

// parseInit reads "[-v NAME] [COMMAND [ARG…]]", as the original's command line.
func parseInit(args []string) (vnode string, command []string) {
	if len(args) >= 2 && args[0] == "-v" {
		vnode, args = args[1], args[2:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return vnode, args
}

// listen takes over every signal that can be taken. A Go program would end by
// those it doesn't listen to, and to one that comes from outside the namespace
// the kernel gives PID 1 no protection beyond ignoring. Nothing is set to
// "ignore", because the children would inherit that.
func (p *pid1) listen() {
	signal.Notify(p.died, unix.SIGCHLD)
	signal.Notify(p.orders, orders()...)
	deaf := make(chan os.Signal, 1)
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD:
		case unix.SIGURG: // the Go runtime's own
		case 32, 33: // the C library's own
		default:
			if slices.Contains(orders(), os.Signal(n)) {
				continue
			}
			signal.Notify(deaf, n) // TERM among them: a host's broadcast must not end a jail
		}
	}
}

// openStandardFiles makes descriptors 0 to 2 exist, so that no other file gets
// a number that programs take for their output.
func openStandardFiles() {
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			continue
		}
		n, err := unix.Open("/dev/null", unix.O_RDWR, 0) // the lowest free number, which is fd
		if err == nil && n != fd {
			unix.Close(n)
		}
	}
}

// nameProcess shows the vnode in ps, as the original's title did. The kernel
// keeps 15 bytes; not having it harms nobody.
func nameProcess(vnode string) {
	f, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	f.WriteString("injail " + vnode)
	f.Close()
}

// maxLine bounds a line of the log: shorter than what a pipe takes whole.
const maxLine = 4000

// say writes one line to the console log and to the host's standard error. A
// full pipe there loses the line; PID 1 doesn't wait for anybody.
func (p *pid1) say(text string) {
	line := time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " injail: " + text
	line = line[:min(len(line), maxLine)] + "\n"
	if p.log != nil {
		p.log.WriteString(line)
	}
	ready := []unix.PollFd{{Fd: 2, Events: unix.POLLOUT}}
	if n, err := unix.Poll(ready, 0); err == nil && n == 1 && ready[0].Revents&unix.POLLOUT != 0 {
		unix.Write(2, []byte(line))
	}
}

func (p *pid1) serveConsole(ctx context.Context) {
	c := session.Client{
		Path:   consoleSocket,
		Hello:  console.Hello{Boot: p.settings.Boot},
		Reaper: p.reaper,
		Report: func(err error) { p.say("enter: " + err.Error()) },
	}
	c.Run(ctx)
}

// serveInitctl takes the orders of programs that know the older way to give
// them. Orders beyond those that wait are dropped: the first one counts.
func (p *pid1) serveInitctl() {
	f, err := openInitctl(initctl)
	if err != nil {
		p.say("initctl: " + err.Error())
		return
	}
	readInitctl(f, func(s syscall.Signal) {
		select {
		case p.orders <- s:
		default:
		}
	})
}

// start starts the given command on our own standard files, or /etc/rc with
// its output in the console log. Both lead a session of their own.
func (p *pid1) start(command []string) (*reap.Child, error) {
	env := []string{
		"PATH=" + startPath, "HOME=/root", "TERM=dumb", "SHELL=/bin/sh",
		"TMCCVNODEID=" + p.settings.VNode,
	}
	proc := reap.Process{
		Argv: command, Env: env, Dir: "/", Files: []uintptr{0, 1, 2},
		Sys: syscall.SysProcAttr{Setsid: true},
	}
	if len(command) == 0 {
		null, err := os.Open("/dev/null")
		if err != nil {
			return nil, err
		}
		defer null.Close()
		out := p.log.Fd()
		proc.Argv = []string{"/bin/sh", "/etc/rc"}
		proc.Files = []uintptr{null.Fd(), out, out}
	}
	proc.Path = which(proc.Argv[0])
	return p.reaper.Start(proc)
}

// which looks a command up in startPath.
func which(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for dir := range strings.SplitSeq(startPath, ":") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	return name
}

// live collects the dead until an order comes or, with a command given, until
// that ends. child is nil when it couldn't be started.
func (p *pid1) live(child *reap.Child, alone bool) int {
	if child == nil && alone {
		return p.end(ending{code: exitFailed})
	}
	for {
		select {
		case <-p.died:
			p.reaper.Collect()
		case s := <-p.orders:
			return p.end(orderOf(s))
		}
		if child == nil || !isDone(child) {
			continue
		}
		if alone {
			return p.end(ending{code: child.Code()})
		}
		if code := child.Code(); code != 0 {
			p.say(fmt.Sprintf("/etc/rc ended with status %d", code))
		}
		child = nil
	}
}

func isDone(c *reap.Child) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}
