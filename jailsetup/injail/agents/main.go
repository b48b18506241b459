package agents

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"emujail/jailsetup/event"
)

// Exit codes of the two commands.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const agentsUsage = `usage: injail agents [-root DIR] [-ready FD] [-detach]

Runs what reports and acts on events in this jail (watchdog, traffic generators,
programs) until TERM.
  -root DIR   the jail's root directory (default /)
  -ready FD   descriptor to write the process's number to, and close, once ready
  -detach     go on in a process of its own that is init's, which starts it again
              when it is killed
`

// Main is `injail agents`. It returns the exit code.
func Main(args []string) int {
	fl := flag.NewFlagSet("injail agents", flag.ContinueOnError)
	root := fl.String("root", "/", "")
	readyFD := fl.Int("ready", -1, "")
	apart := fl.Bool("detach", false, "")
	if code, ok := parse(fl, args, agentsUsage); !ok {
		return code
	}
	if fl.NArg() > 0 {
		fmt.Fprint(os.Stderr, agentsUsage)
		return exitUsage
	}
	if *apart {
		if err := detach(*root, *readyFD); err != nil {
			fmt.Fprintf(os.Stderr, "injail agents: %v\n", err)
			return exitFailed
		}
		return exitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if *readyFD >= 0 { // what we start isn't to hold it open
		syscall.CloseOnExec(*readyFD)
	}
	if err := Run(ctx, Below(*root), log, func() { tellReady(*readyFD) }); err != nil {
		fmt.Fprintf(os.Stderr, "injail agents: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// detach starts the process that works, in a session of its own. Nobody waits
// for it here: with the end of this one, at once, it is the jail's init's.
func detach(root string, readyFD int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "agents", "-root", root)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if readyFD >= 0 {
		cmd.Args = append(cmd.Args, "-ready", "3")
		cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(readyFD), "ready")}
	}
	return cmd.Start()
}

func tellReady(fd int) {
	if fd < 0 {
		return
	}
	f := os.NewFile(uintptr(fd), "ready")
	if f == nil {
		return
	}
	_, _ = fmt.Fprintln(f, os.Getpid()) // whoever waits sees the end anyway
	f.Close()
}

const eventUsage = `usage: injail event [-root DIR] OBJECT ACTION [KEY=VALUE ...]
       injail event [-root DIR] -status

Tells an agent of this jail to do something, as root of the jail:
  injail event cbr0 START RATE=1000 PACKETSIZE=500
  injail event cbr0 STOP
  injail event prog0 START
Actions of a traffic generator: START, STOP, MODIFY, RESET; arguments
PACKETSIZE (bytes), RATE (kbit/s), INTERVAL (seconds), IPTOS. Of a program:
START, STOP, KILL, MODIFY; COMMAND='…', DIR, TIMEOUT, EXPECTED_EXIT_CODE, SIGNAL.
  -root DIR   the jail's root directory (default /)
  -status     print what the agents do
`

// EventMain is `injail event`. It returns the exit code.
func EventMain(args []string) int {
	fl := flag.NewFlagSet("injail event", flag.ContinueOnError)
	root := fl.String("root", "/", "")
	status := fl.Bool("status", false, "")
	if code, ok := parse(fl, args, eventUsage); !ok {
		return code
	}
	if *status != (fl.NArg() == 0) || fl.NArg() == 1 {
		fmt.Fprint(os.Stderr, eventUsage)
		return exitUsage
	}
	ctx, stop := context.WithTimeout(context.Background(), controlTimeout)
	defer stop()
	socket := Below(*root).Socket
	var err error
	if *status {
		err = showStatus(ctx, socket)
	} else {
		err = Send(ctx, socket, event.Event{
			Object: fl.Arg(0), Action: strings.ToUpper(fl.Arg(1)),
			Args: event.JoinArgs(fl.Args()[2:]), Time: time.Now(),
		})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "injail event: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func showStatus(ctx context.Context, socket string) error {
	all, err := Query(ctx, socket)
	if err != nil {
		return err
	}
	for _, g := range all.Generators {
		fmt.Printf("%-16s %-7s %s %-8s sent %d received %d lost %d errors %d\n", g.Name, g.Role, g.Proto, g.State,
			g.Total.SentPackets, g.Total.ReceivedPackets, g.Total.Lost, g.Total.Errors)
	}
	for _, p := range all.Programs {
		state := "idle"
		if p.Running {
			state = "running"
		}
		fmt.Printf("%-16s program     %s\n", p.Name, state)
	}
	return nil
}

// parse reads options; when it says false the command ends with the code.
func parse(fl *flag.FlagSet, args []string, usage string) (code int, ok bool) {
	fl.SetOutput(io.Discard)
	err := fl.Parse(args)
	switch {
	case err == nil:
		return exitOK, true
	case err == flag.ErrHelp:
		fmt.Print(usage)
		return exitOK, false
	}
	fmt.Fprintf(os.Stderr, "%v\n%s", err, usage)
	return exitUsage, false
}
