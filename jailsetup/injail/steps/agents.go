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
	"strconv"
	"syscall"
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
	pid, err := r.spawn(agentsLog, readyWait, "agents", "-root", r.Root)
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

// spawn starts injail with args in a session of its own, its output appended
// to a log, and waits for it to say that it is ready on descriptor 3.
func (n *Node) spawn(log string, wait time.Duration, args ...string) (pid int, err error) {
	out, err := os.OpenFile(n.path(log), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	ready, child, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	cmd := exec.Command(n.Injail[0], append(append(n.Injail[1:len(n.Injail):len(n.Injail)], args...), "-ready", "3")...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, out, []*os.File{child}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	child.Close()
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", args[0], err)
	}
	// Nobody waits for this goroutine: the agents outlive us, and their parent
	// is then the jail's init; until then they are reaped here.
	go cmd.Wait()
	if err := ready.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	line, err := io.ReadAll(io.LimitReader(ready, 64))
	if err != nil || len(line) == 0 {
		return 0, fmt.Errorf("start %s: %w", args[0], errors.Join(err, fmt.Errorf("it ended or hangs: see %s", log)))
	}
	return cmd.Process.Pid, nil
}
