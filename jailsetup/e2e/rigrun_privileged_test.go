//go:build linux && privileged

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// result is what a program said.
type result struct {
	args           []string
	stdout, stderr string
	code           int
	took           time.Duration
}

// err is nil if the program ended well.
func (o result) err() error {
	if o.code == 0 {
		return nil
	}
	return fmt.Errorf("%s: exit code %d: %s", strings.Join(o.args, " "), o.code, strings.TrimSpace(o.stderr))
}

// complaint is the one line in which a program of ours says why it failed;
// before it there may be the steps that led there. Empty: it isn't so.
func (o result) complaint() string {
	head, last := "", strings.TrimSuffix(o.stderr, "\n")
	if i := strings.LastIndexByte(last, '\n'); i >= 0 {
		head, last = last[:i], last[i+1:]
	}
	if head != "" && !strings.HasPrefix(head, "last steps:\n") || !strings.HasPrefix(last, "jailsetup: ") && !strings.HasPrefix(last, "tmcd-mock: ") {
		return ""
	}
	return last
}

func (r *rig) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program(name), args...)
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs one of our programs to its end.
func (r *rig) run(name string, args ...string) result {
	r.t.Helper()
	return r.runFor(verbTimeout, name, args...)
}

// runFor is run with a deadline of its own.
func (r *rig) runFor(most time.Duration, name string, args ...string) result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	return r.finish(r.command(ctx, name, args...))
}

func (r *rig) finish(cmd *exec.Cmd) result {
	r.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{cmd.Args, stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(began)}
}

// jailsetup runs one verb.
func (r *rig) jailsetup(args ...string) result {
	r.t.Helper()
	return r.run("jailsetup", append([]string{"--site", r.path("site.yaml")}, args...)...)
}

// must runs a verb that has to succeed and returns its output.
func (r *rig) must(args ...string) string {
	r.t.Helper()
	out := r.jailsetup(args...)
	if out.code != 0 {
		r.t.Fatalf("%v\n%s", out.err(), r.logs())
	}
	return out.stdout
}

// enter runs a command in a jail that has to succeed.
func (r *rig) enter(vnode string, argv ...string) string {
	r.t.Helper()
	return r.must(append([]string{"enter", "-T", vnode}, argv...)...)
}

// putInside copies a program of ours into a jail, through enter.
func (r *rig) putInside(vnode, name string) string {
	r.t.Helper()
	f, err := os.Open(program(name))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	to := "/root/" + name
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	cmd := r.command(ctx, "jailsetup", "--site", r.path("site.yaml"), "enter", "-T", vnode, "sh", "-c", "cat >"+to+" && chmod 755 "+to)
	cmd.Stdin = f
	if out := r.finish(cmd); out.code != 0 {
		r.t.Fatal(out.err())
	}
	return to
}

// inBackground starts a program in a jail that stays until it is killed, or the
// jail is.
func (r *rig) inBackground(vnode string, argv ...string) {
	r.t.Helper()
	r.enter(vnode, append([]string{"sh", "-c", `setsid "$@" </dev/null >/dev/null 2>&1 &`, "sh"}, argv...)...)
}

// callFrom calls, from a jail that has the inside program or from the host (""),
// who answers there (inside answer), and says what is answered, or "no".
func (r *rig) callFrom(vnode string, words ...string) string {
	r.t.Helper()
	words = append([]string{"call"}, words...)
	if vnode == "" {
		out := r.run("inside", words...)
		if err := out.err(); err != nil {
			r.t.Fatal(err)
		}
		return strings.TrimSpace(out.stdout)
	}
	return strings.TrimSpace(r.enter(vnode, append([]string{"/root/inside"}, words...)...))
}

// info is what list says of a vnode.
func (r *rig) info(vnode string) (supervise.JailInfo, bool) {
	r.t.Helper()
	var l struct{ Jails []supervise.JailInfo }
	if err := json.Unmarshal([]byte(r.must("list", "--json")), &l); err != nil {
		r.t.Fatal(err)
	}
	for _, j := range l.Jails {
		if j.VNode == vnode {
			return j, true
		}
	}
	return supervise.JailInfo{}, false
}

// phase waits until list says that the vnode is in the phase.
func (r *rig) phase(vnode string, p jail.Phase) supervise.JailInfo {
	r.t.Helper()
	var j supervise.JailInfo
	r.await(vnode+" to be "+string(p), func() error {
		var ok bool
		if j, ok = r.info(vnode); !ok || j.Phase != p {
			return fmt.Errorf("it is %q", j.Phase)
		}
		return nil
	})
	return j
}

// node is what tmcd-mock shows of a node.
type node struct {
	ID      string            `json:"id"`
	State   string            `json:"state"`
	Reports map[string]string `json:"reports"`
}

func (r *rig) node(vnode string) node {
	r.t.Helper()
	var shown struct{ Nodes []node }
	out := r.run("tmcd-mock", "show", "--json", "--manage", r.path("mock"))
	if err := errors.Join(out.err(), json.Unmarshal([]byte(out.stdout), &shown)); err != nil {
		r.t.Fatal(err)
	}
	for _, n := range shown.Nodes {
		if n.ID == vnode {
			return n
		}
	}
	r.t.Fatalf("tmcd-mock doesn't know %s", vnode)
	return node{}
}

// reports waits until tmcd has heard the state.
func (r *rig) reports(vnode, state string) {
	r.t.Helper()
	r.await(vnode+" to report "+state, func() error {
		if got := r.node(vnode).State; got != state {
			return fmt.Errorf("state is %q", got)
		}
		return nil
	})
}

// boot boots a vnode and waits for ISUP.
func (r *rig) boot(vnode string) {
	r.t.Helper()
	r.must("boot", vnode)
	r.reports(vnode, "ISUP")
}
