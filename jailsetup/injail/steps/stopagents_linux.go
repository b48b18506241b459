package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/agents"
)

// stopAgents ends the process: TERM, and KILL if that isn't enough.
func stopAgents(ctx context.Context, r *Run) error {
	pid := r.agentsPID()
	if pid == 0 {
		return nil
	}
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop agents, process %d: %w", pid, err)
	}
	defer unix.Close(process)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stop agents, process %d: %w", pid, context.Cause(ctx))
		}
		if sig == unix.SIGKILL { // else init starts it again
			if err := os.Remove(agents.Below(r.Root).PID); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := unix.PidfdSendSignal(process, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop agents, process %d: %w", pid, err)
		}
		if ended(ctx, process) {
			r.did("agents stopped")
			return nil
		}
	}
	return fmt.Errorf("stop agents: process %d doesn't end", pid)
}

// ended waits for a process, given as a pidfd, to end. That its socket is silent
// isn't enough: it has yet to end its programs.
func ended(ctx context.Context, process int) bool {
	const look = 50 // ms
	for deadline := time.Now().Add(endWait); time.Now().Before(deadline) && ctx.Err() == nil; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, look)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		if n > 0 {
			return true
		}
	}
	return false
}
