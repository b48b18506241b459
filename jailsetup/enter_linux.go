package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/supervise"
)

func newEnterCommand(s *settings) *cobra.Command {
	var opts struct {
		user  string
		noTTY bool
	}
	cmd := &cobra.Command{
		Use:   "enter VNODE [COMMAND [ARG…]]",
		Short: "run a command, or a shell, in a vnode's jail",
		Long: `enter asks the jail's init to start a command, or the user's login shell, and
passes bytes between it and this terminal. Nothing of the host enters the jail.
The exit code is the command's; 128 and more, a signal's. Signals are passed on;
the third ends enter, whatever the jail does.

COMMAND is a program; what a shell shall read, a shell must be told. A -- before
it is left out.`,
		Example: `  jailsetup enter node-a
  jailsetup enter node-a -- ls -l /local/logs
  jailsetup enter node-a sh -c 'ps aux | grep sshd'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("enter: want a VNODE (jailsetup enter --help)")}
			}
			site, err := s.site()
			if err != nil {
				return err
			}
			vnode, err := resolve(site, args[0])
			if err != nil {
				return err
			}
			conn, err := connect(cmd.Context(), site)
			if err != nil {
				return err
			}
			defer conn.Close()
			argv := args[1:]
			if len(argv) > 0 && argv[0] == "--" {
				argv = argv[1:]
			}
			start := startOf(argv, opts.user, !opts.noTTY && isTerminal(os.Stdin) && isTerminal(os.Stdout))
			req := supervise.Request{Verb: supervise.VerbEnter, VNode: vnode, Start: &start}
			if err := supervise.Call(conn, req, func(supervise.Reply) {}); err != nil {
				return fmt.Errorf("cannot enter %s: %w", args[0], err)
			}
			code, err := attach(cmd.Context(), conn, start.TTY)
			if err != nil {
				return fmt.Errorf("enter %s: %w%s", args[0], err, shellHint(args[0], argv))
			}
			if code != 0 {
				return exitError{code}
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&opts.user, "user", "u", "root", "as which of the jail's users")
	cmd.Flags().BoolVarP(&opts.noTTY, "no-tty", "T", false, "no terminal inside, even if this is one")
	return cmd
}

// shellHint is for whom a command that doesn't start was meant for a shell.
func shellHint(vnode string, argv []string) string {
	if len(argv) != 1 || !strings.ContainsAny(argv[0], " \t\n;|&<>$*`'\"") {
		return ""
	}
	return fmt.Sprintf(" (for a shell: jailsetup enter %s sh -c '…')", vnode)
}

func startOf(argv []string, user string, tty bool) console.Start {
	start := console.Start{Argv: argv, User: user, TTY: tty, Term: os.Getenv("TERM")}
	if tty {
		start.Rows, start.Cols = windowSize()
	}
	return start
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func windowSize() (rows, cols uint16) {
	w, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 24, 80
	}
	return w.Row, w.Col
}

// attach is the terminal's end of a session; it returns the exit code.
func attach(ctx context.Context, conn net.Conn, tty bool) (int, error) {
	out := &frameWriter{conn: conn}
	if tty {
		restore, err := makeRaw(os.Stdin)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := forwardSignals(ctx, out, tty, func() {
		cancel(fmt.Errorf("the jail has not ended it after %d signals; it may go on there", enough))
		conn.Close()
	})
	defer stop()
	go out.stdin(os.Stdin) // ends with the process: a read of a terminal can't be called off
	code, err := receive(conn, streams{out: os.Stdout, err: os.Stderr})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return code, err
}

// frameWriter sends frames of several goroutines.
type frameWriter struct {
	mu   sync.Mutex
	conn net.Conn
}

func (w *frameWriter) send(t console.Type, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return console.WriteFrame(w.conn, console.Frame{Type: t, Payload: payload})
}

func (w *frameWriter) sendJSON(t console.Type, v any) {
	if data, err := json.Marshal(v); err == nil {
		_ = w.send(t, data) // a broken session shows at the reader
	}
}

func (w *frameWriter) stdin(r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 && w.send(console.TypeStdin, buf[:n]) != nil {
			return
		}
		if err != nil {
			_ = w.send(console.TypeStdinEOF, nil)
			return
		}
	}
}

// enough is how many signals end a session whose jail doesn't: it may be frozen.
const enough = 3

// forwardSignals passes the window's size, and without a terminal inside the
// usual signals, on to the session. The last of [enough] is for giveUp.
func forwardSignals(ctx context.Context, w *frameWriter, tty bool, giveUp func()) (stop func()) {
	signals := make(chan os.Signal, 8)
	wanted := []os.Signal{syscall.SIGWINCH}
	if !tty {
		wanted = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
	}
	signal.Notify(signals, wanted...)
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		got := 0
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-signals:
				if s == syscall.SIGWINCH {
					rows, cols := windowSize()
					w.sendJSON(console.TypeWinch, console.Winch{Rows: rows, Cols: cols})
				} else if n, ok := s.(syscall.Signal); ok {
					if got++; got == enough {
						giveUp()
						return
					}
					go w.sendJSON(console.TypeSignal, console.Signal{Signal: int(n)}) // it may be that nobody reads
				}
			}
		}
	})
	return func() {
		signal.Stop(signals)
		cancel()
		done.Wait()
	}
}

// makeRaw gives every key to the session.
func makeRaw(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read terminal settings: %w", err)
	}
	raw := *old
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("set terminal: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}
