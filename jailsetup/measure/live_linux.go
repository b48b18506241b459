package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/supervise"
)

const enterRounds = 20

// adoption kills the supervisor and starts another. It has the jails again when
// it serves, and lets somebody into the last of them.
func adoption(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	var all []time.Duration
	for range 5 {
		if err := syscall.Kill(h.info.PID, syscall.SIGKILL); err != nil {
			return err
		}
		if err := supervise.AwaitEnd(ctx, h.site); err != nil {
			return err
		}
		began := time.Now()
		if err := h.startSupervisor(ctx); err != nil {
			return err
		}
		served := time.Since(began)
		for _, v := range h.vnodes {
			if err := h.inside(ctx, v, "tmcc", "status"); err != nil {
				return fmt.Errorf("adopted: %w", err)
			}
		}
		f.note("served after %.0f ms; tmcc in each of %d jails answered by %.0f ms", ms(served), len(h.vnodes), ms(time.Since(began)))
		all = append(all, served)
	}
	f.Value = median(all).Seconds()
	return nil
}

// inside runs a command in a jail by the program that people use.
func (h *host) inside(ctx context.Context, vnode string, argv ...string) error {
	cmd := h.program(ctx, append([]string{"enter", "-T", vnode}, argv...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v in %s: %w: %.300s", argv, vnode, err, out)
	}
	return nil
}

func (h *host) program(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(h.o.Programs, "jailsetup"), append([]string{"--site", h.sitePath}, args...)...)
}

// entering counts from the start of the program to the prompt on its terminal.
func entering(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes[:1]); err != nil {
		return err
	}
	var all []time.Duration
	for range enterRounds + 1 {
		took, err := h.prompt(ctx, h.vnodes[0])
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	all = all[1:] // the first is cold
	f.Value = ms(median(all))
	f.note("p90 %.1f ms, %d times", ms(quantile(all, 0.9)), len(all))
	return nil
}

// promptTimeout bounds the wait for a prompt.
const promptTimeout = 10 * time.Second

func (h *host) prompt(ctx context.Context, vnode string) (took time.Duration, err error) {
	person, inner, err := terminal()
	if err != nil {
		return 0, err
	}
	defer person.Close()
	ctx, cancel := context.WithTimeout(ctx, promptTimeout)
	defer cancel()
	cmd := h.program(ctx, "enter", vnode)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inner, inner, inner
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began := time.Now()
	err = cmd.Start()
	inner.Close()
	if err != nil {
		return 0, err
	}
	_ = person.SetReadDeadline(time.Now().Add(promptTimeout))
	var seen []byte
	buf := make([]byte, 4096)
	for !bytes.HasSuffix(seen, []byte("# ")) {
		n, err := person.Read(buf)
		if seen = append(seen, buf[:n]...); err != nil {
			return 0, errors.Join(fmt.Errorf("no prompt: %w: %.300q", err, seen), cmd.Process.Kill(), cmd.Wait())
		}
	}
	took = time.Since(began)
	_, err = person.WriteString("exit\r")
	for err == nil { // what else it says must be taken, else it can't end
		_, err = person.Read(buf)
	}
	return took, cmd.Wait()
}

// terminal opens a pseudo-terminal: what a person sits at, and its inner end.
func terminal() (person, inner *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	person = os.NewFile(uintptr(fd), "ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, errors.Join(err, person.Close())
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, nil, errors.Join(fmt.Errorf("open terminal: %w", errno), person.Close())
	}
	return person, os.NewFile(peer, "pts"), nil
}
