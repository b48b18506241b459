//go:build linux && privileged

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// allowed are the lives that a step may leave, by vnode; of the others it leaves
// what they have.
type allowed map[string][]life

// do does a step and says what may be so then, or what is wrong already.
func (h *modelHost) do(m *model, s happening) (allowed, error) {
	v := h.vnodes[s.vnode]
	before := m.lives[v]
	switch s.what {
	case "verb":
		after, code := m.after(s.verb, v)
		out := h.jailsetup(s.verb, v)
		if out.code != code {
			return nil, fmt.Errorf("exit code %d, want %d: %s", out.code, code, out.stderr)
		}
		return allowed{v: {after}}, nil
	case "wide":
		return h.wide(m, s.verb)
	case "twice":
		var both sync.WaitGroup
		for _, verb := range []string{s.verb, s.other} {
			both.Go(func() { h.jailsetup(verb, v) })
		}
		both.Wait()
		return allowed{v: m.either(s.verb, s.other, v)}, nil
	case "relist":
		m.listed = nil
		for i, v := range h.vnodes {
			if s.set&(1<<i) != 0 {
				m.listed = append(m.listed, v)
			}
		}
		return nil, h.relist(m.listed)
	case "write":
		return h.userWrites(before, v, strconv.Itoa(s.n))
	case "update":
		out := h.jailsetup("update", v)
		if (out.code == 0) != before.up && slices.Contains(m.listed, v) {
			return nil, fmt.Errorf("exit code %d: %s%s", out.code, out.stdout, out.stderr)
		}
	case "shape":
		up := m.lives[h.vnodes[0]].up || m.lives[h.vnodes[1]].up
		out := h.jailsetup("shape", "jails/demo", "lan0", fmt.Sprintf("delay=%dms", s.n))
		if (out.code == 0) != up {
			return nil, fmt.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		if r, err := h.record(h.vnodes[1]); err == nil {
			m.shaped = r.StartTime
		}
	case "crash", "wide crash":
		return h.cutOff(m, s)
	case "away":
		words := strings.Fields(strings.ReplaceAll(s.fault(), "%", strconv.Itoa(1+s.n%8)))
		if err := h.fault(append([]string{"add"}, words...)...); err != nil {
			return nil, err
		}
		h.jailsetup(s.verb, v)
		return h.putRight(m, s, h.fault("clear"))
	case "full":
		return h.onFullDisk(m, s)
	default:
		return h.end(m, s)
	}
	return nil, nil
}

// end ends something.
func (h *modelHost) end(m *model, s happening) (allowed, error) {
	v := h.vnodes[s.vnode]
	before := m.lives[v]
	switch s.what {
	case "poweroff":
		h.jailsetup("enter", "-T", v, "poweroff")
	case "reboot inside":
		return h.rebootInside(m, v)
	case "kill init":
		if r, err := h.record(v); err == nil && r.PID != 0 {
			_ = syscall.Kill(r.PID, syscall.SIGKILL)
		}
	case "kill serve":
		h.serve.kill()
		h.startServe()
		return nil, nil
	case "stop serve":
		if out := h.jailsetup("stop"); out.code != 0 {
			return nil, out.err()
		}
		<-h.serve.ended
		h.startServe()
		return nil, nil
	case "kill proxy":
		h.killProxy()
		h.awaitProxy()
		return nil, nil
	case "kill both":
		proxy := h.served().Proxy
		h.serve.kill()
		if proxy != 0 {
			_ = syscall.Kill(proxy, syscall.SIGKILL)
		}
		h.startServe()
		return nil, nil
	default:
		h.killNamed(strings.TrimPrefix(s.what, "kill "))
		return nil, nil
	}
	if !before.up {
		return nil, nil
	}
	return allowed{v: {before.down(jail.Halted)}}, nil
}

func (h *modelHost) rebootInside(m *model, v string) (allowed, error) {
	before := m.lives[v]
	if !before.up {
		return nil, nil
	}
	old, err := h.record(v)
	if err != nil {
		return nil, err
	}
	h.jailsetup("enter", "-T", v, "reboot", "-f")
	if !slices.Contains(m.listed, v) {
		return allowed{v: {before.down(jail.Running)}}, nil
	}
	return allowed{v: {before}}, until(3*waitTimeout, func() error {
		if r, err := h.record(v); err != nil || r.Boot == old.Boot || r.Phase != jail.Up {
			return fmt.Errorf("boot %d of before %d, %s (%v)", r.Boot, old.Boot, r.Phase, err)
		}
		return nil
	})
}

func (h *modelHost) awaitProxy() {
	h.await("a proxy", func() error {
		if h.served().Proxy == 0 {
			return errors.New("none")
		}
		return nil
	})
}

// wide does a verb for all of the host.
func (h *modelHost) wide(m *model, option string) (allowed, error) {
	may, code := allowed{}, supervise.CodeOK
	for v, verb := range m.wide(option) {
		after, c := m.after(verb, v)
		may[v], code = []life{after}, max(code, min(c, supervise.CodeFailed))
	}
	args := []string{"bootvnodes"}
	if option != "" {
		args = append(args, option)
	}
	if out := h.jailsetup(args...); out.code != code {
		return nil, fmt.Errorf("exit code %d, want %d: %s", out.code, code, out.stderr)
	}
	return may, nil
}

// userFiles are where a user keeps what mustn't be lost.
const userFiles = "/root/data /usr/local/data /opt/data /var/data"

// userWrites has the user keep something, to the disk.
func (h *modelHost) userWrites(before life, v, data string) (allowed, error) {
	out := h.jailsetup("enter", "-T", v, "sh", "-c", "echo "+data+" | tee "+userFiles+" >/dev/null && sync")
	if (out.code == 0) != before.up {
		return nil, fmt.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	if !before.up {
		return nil, nil
	}
	before.data = data
	return allowed{v: {before}}, nil
}

// userReads is what the user finds; the same everywhere.
func (h *modelHost) userReads(v string) (string, error) {
	out := h.jailsetup("enter", "-T", v, "sh", "-c", "cat "+userFiles+" 2>/dev/null | uniq -c")
	f := strings.Fields(out.stdout)
	if len(f) == 0 && out.code == 0 {
		return "", nil
	}
	if len(f) != 2 || f[0] != strconv.Itoa(len(strings.Fields(userFiles))) {
		return "", fmt.Errorf("the user finds %q (exit code %d: %s)", out.stdout, out.code, out.stderr)
	}
	return f[1], nil
}

// cutOff begins a verb, or one for all the host, and kills the supervisor once
// so many records of undo were written or taken back.
func (h *modelHost) cutOff(m *model, s happening) (allowed, error) {
	v := h.vnodes[s.vnode]
	may, command := allowed{v: m.halfway(s.verb, v)}, []string{s.verb, v}
	if s.what == "wide crash" {
		command = slices.DeleteFunc([]string{"bootvnodes", s.verb}, func(a string) bool { return a == "" })
		may = allowed{}
		for v, verb := range m.wide(s.verb) {
			may[v] = m.halfway(verb, v)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = exec.CommandContext(ctx, program("jailsetup"), append([]string{"--site", h.path("site.yaml")}, command...)...).Run()
	}()
	h.awaitRecords(s.n, done)
	proxy := h.served().Proxy
	h.serve.kill()
	if s.set%3 == 0 && proxy != 0 {
		_ = syscall.Kill(proxy, syscall.SIGKILL)
	}
	cancel()
	<-done
	h.startServe()
	return may, nil
}

// awaitRecords waits until the undo logs have changed by so many lines, or done.
func (h *modelHost) awaitRecords(n int, done <-chan struct{}) {
	last := map[string]int{}
	for _, v := range h.vnodes {
		last[v] = len(h.bootLog(v))
	}
	for changed := 0; changed < n; {
		select {
		case <-done:
			return
		default:
		}
		for _, v := range h.vnodes {
			now := len(h.bootLog(v))
			changed += max(now-last[v], last[v]-now)
			last[v] = now
		}
	}
}

func (h *modelHost) fault(words ...string) error {
	args := append([]string{"fault", words[0], "--manage", h.path("mock")}, words[1:]...)
	return h.run("tmcd-mock", args...).err()
}

// onFullDisk does a verb while there is no room: no inode, or, where no jail
// would be harmed, no block.
func (h *modelHost) onFullDisk(m *model, s happening) (allowed, error) {
	blocks := true
	for _, l := range m.lives {
		blocks = blocks && !l.up
	}
	if err := h.fill(blocks); err != nil {
		return nil, errors.Join(err, h.empty())
	}
	out := h.jailsetup(s.verb, h.vnodes[s.vnode])
	if s.verb == kill && out.code != 0 { // it is how room is made
		return nil, errors.Join(out.err(), h.empty())
	}
	return h.putRight(m, s, h.empty())
}

// putRight is what an operator does once a fault is over: a jail that is neither
// up nor down is halted.
func (h *modelHost) putRight(m *model, s happening, err error) (allowed, error) {
	v := h.vnodes[s.vnode]
	if r, loadErr := h.record(v); loadErr == nil && r.Phase != jail.Up && r.Phase != jail.Down {
		err = errors.Join(err, h.jailsetup(halt, v).err())
	}
	return allowed{v: m.halfway(s.verb, v)}, err
}
