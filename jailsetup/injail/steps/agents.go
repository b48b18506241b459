package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"emujail/jailsetup/injail/agents"
	"emujail/jailsetup/injail/trafgen"
	"emujail/protocol"
)

const (
	agentsLog   = logDir + "/agents.log"
	agentsInput = bootDir + "/agents.config" // what the running process was started with

	readyWait = 10 * time.Second
	endWait   = 5 * time.Second
)

// startAgents starts the process of watchdog, traffic generators and programs
// (package agents) and waits until it is ready. One that runs is told to look
// at what has changed: traffic that stays the same isn't interrupted.
func startAgents(ctx context.Context, r *Run) error {
	input, err := r.agentsInput()
	if err == nil {
		err = r.generatorsLeftOut()
	}
	if err != nil {
		return err
	}
	if r.agentsPID() > 0 {
		changed, err := r.put(agentsInput, input, 0o600, false)
		if err != nil || !changed {
			return err
		}
		r.did("agents told of the change")
		return agents.Reload(ctx, agents.Below(r.Root).Socket)
	}
	if _, err := r.put(agentsInput, input, 0o600, false); err != nil {
		return err
	}
	pid, err := r.spawnAgents(ctx)
	if err != nil {
		return err
	}
	r.did("agents started as process %d", pid)
	return nil
}

// generatorsLeftOut notes the traffic generators that nobody here can be.
func (r *Run) generatorsLeftOut() error {
	reply, err := r.cached("trafgens")
	if err != nil {
		return err
	}
	list, err := protocol.ParseTrafGens(reply)
	r.warnAll(err)
	for _, t := range list {
		if trafgen.KindOf(t) == trafgen.Nobody {
			r.lacks("traffic of %s, GENERATOR=%s", t.Name, t.Generator)
		}
	}
	return nil
}

// agentsInput is all that an agents process reads when it starts or reloads.
func (r *Run) agentsInput() ([]byte, error) {
	var b []byte
	for _, c := range []string{"trafgens", "programs", "userenv"} {
		text, err := r.cached(c)
		if err != nil {
			return nil, err
		}
		b = append(append(b, text...), '\n')
	}
	for _, f := range []string{"nickname", "eventkey"} {
		text, err := os.ReadFile(r.path(bootDir + "/" + f))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		b = append(append(b, text...), '\n')
	}
	return b, nil
}

// agentsPID returns the pid of the running process, 0 if there is none. Its
// socket must answer: a pid alone may be anybody's by now.
func (n *Node) agentsPID() int {
	p := agents.Below(n.Root)
	if info, err := os.Lstat(p.PID); err != nil || !info.Mode().IsRegular() {
		return 0 // not ours: a fifo would keep us waiting
	}
	text, err := os.ReadFile(p.PID)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	if _, err := agents.Query(ctx, p.Socket); err != nil {
		return 0
	}
	return pid
}

// spawnAgents starts the process in a session of its own, its output appended to
// its log, and waits for it to say that it is ready, with its number, on
// descriptor 3. It is no child of ours but the jail's init's from the first: that
// hears of its end and starts it again, also while the steps that come after this
// one take their time.
func (n *Node) spawnAgents(ctx context.Context) (pid int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWait, fmt.Errorf("not ready after %v", readyWait))
	defer cancel()
	out, err := os.OpenFile(n.path(agentsLog), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	ready, child, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	defer context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Unix(1, 0)) })()
	args := append(slices.Clone(n.Injail[1:]), "agents", "-root", n.Root, "-ready", "3", "-detach")
	cmd := exec.CommandContext(ctx, n.Injail[0], args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, out, []*os.File{child}
	err = cmd.Run() // ends at once
	child.Close()
	if err != nil {
		return 0, fmt.Errorf("start agents: %w", err)
	}
	line, err := io.ReadAll(io.LimitReader(ready, 64))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		pid, err = strconv.Atoi(string(bytes.TrimSpace(line)))
	}
	if err != nil {
		return 0, fmt.Errorf("start agents: it ended or hangs: see %s: %w", agentsLog, err)
	}
	return pid, nil
}
