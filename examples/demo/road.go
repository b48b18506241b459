//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"emujail/examples/wait"
)

const isupTimeout = 60 * time.Second

// bootBoth boots the jails at once.
func (w *world) bootBoth(ctx context.Context) error {
	if err := w.snapshotWorld(); err != nil {
		return err
	}
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i, vnode := range []string{first, second} {
		both.Go(func() { _, errs[i] = w.jailsetup(ctx, "boot", vnode) })
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, vnode := range []string{first, second} {
		if err := w.awaitUp(ctx, vnode); err != nil {
			return err
		}
		if err := w.putInside(ctx, vnode); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) awaitUp(ctx context.Context, vnode string) error {
	return wait.Until(ctx, isupTimeout, vnode+" to be ISUP", func() error {
		state, err := w.stateOf(ctx, vnode)
		if err == nil && state != "ISUP" {
			err = fmt.Errorf("tmcd says %s", state)
		}
		return err
	})
}

// enter runs a command in a jail.
func (w *world) enter(ctx context.Context, vnode string, argv ...string) (string, error) {
	return w.jailsetup(ctx, append([]string{"enter", vnode}, argv...)...)
}

// putInside copies this program into the jail, through the console.
func (w *world) putInside(ctx context.Context, vnode string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.Open(self)
	if err != nil {
		return err
	}
	defer program.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "jailsetup"), "--site", w.site, "enter", vnode,
		"sh", "-c", "cat > "+innerPath+" && chmod 755 "+innerPath)
	cmd.Stdin = program
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("copy a program into %s: %w: %s", vnode, err, bytes.TrimSpace(out))
	}
	return nil
}

func (w *world) statusInside(ctx context.Context) error {
	for vnode, name := range map[string]string{first: "node-a", second: "node-b"} {
		out, err := w.enter(ctx, vnode, "tmcc", "status")
		if err != nil {
			return err
		}
		if want := "ALLOCATED=jails/demo NICKNAME=" + name + "\n"; out != want {
			return fmt.Errorf("%s: tmcc status says %q, want %q", vnode, out, want)
		}
	}
	return nil
}

// auditLine is what the demo reads of the proxy's audit log.
type auditLine struct {
	Time    time.Time `json:"time"`
	VNode   string    `json:"vnode"`
	Command string    `json:"command"`
	Outcome string    `json:"outcome"`
}

func (w *world) audit() ([]auditLine, error) {
	f, err := os.Open(filepath.Join(stateDir, "jails", "audit.log"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []auditLine
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l auditLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// lastFullConfig is when the jail last asked for its configuration and got it.
func (w *world) lastFullConfig(vnode string) (time.Time, error) {
	lines, err := w.audit()
	if err != nil {
		return time.Time{}, err
	}
	var last time.Time
	for _, l := range lines {
		if l.VNode == vnode && l.Command == "fullconfig" && l.Outcome == "ok" {
			last = l.Time
		}
	}
	if last.IsZero() {
		return last, fmt.Errorf("the audit log has no fullconfig of %s", vnode)
	}
	return last, nil
}

func (w *world) ownConfig(context.Context) error {
	for _, vnode := range []string{first, second} {
		if _, err := w.lastFullConfig(vnode); err != nil {
			return err
		}
	}
	return nil
}

// carol is the account that tmcd gets between two questions.
const carolYAML = `  carol:
    name: Carol Late
    uid: 10003
    keys: ["%s"]
    groups: {jails: user}
`

// lateAccount reboots a jail and adds an account as soon as the first step
// shows that the host has asked: what the jail has then can only come from its
// own question.
func (w *world) lateAccount(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "jailsetup"), "--site", w.site, "reboot", "-v", second)
	steps, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	sc := bufio.NewScanner(steps)
	if !sc.Scan() {
		return errors.Join(errors.New("the reboot shows no step"), cmd.Wait())
	}
	added, err := w.addCarol(ctx)
	for sc.Scan() {
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return err
	}
	if err := w.awaitUp(ctx, second); err != nil {
		return err
	}
	asked, err := w.lastFullConfig(second)
	if err != nil {
		return err
	}
	if !asked.After(added) {
		return fmt.Errorf("the jail asked at %s, before the account was added at %s: nothing shown", asked, added)
	}
	_, err = w.enter(ctx, second, "id", "carol")
	return err
}

func (w *world) addCarol(ctx context.Context) (time.Time, error) {
	data, err := os.ReadFile(w.testbed)
	if err != nil {
		return time.Time{}, err
	}
	text := strings.Replace(string(data), "\nusers:\n", "\nusers:\n"+fmt.Sprintf(carolYAML, w.publicKey("carol")), 1)
	temp := w.testbed + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		return time.Time{}, err
	}
	if err := os.Rename(temp, w.testbed); err != nil {
		return time.Time{}, err
	}
	err = w.runProgram(ctx, "tmcd-mock", "reload", "--manage", w.manage)
	return time.Now(), err
}

// spoof sends a request that begins with the other's name, raw.
func (w *world) spoof(ctx context.Context) error {
	out, err := w.enter(ctx, first, innerPath, "inside", "ask", "/run/emulab/tmcc", "PROXYFOR="+second+" VERSION=40 status ")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "NICKNAME=node-a") {
		return fmt.Errorf("answer %q is not node-a's", out)
	}
	return nil
}

// tmcdReach: can from the host, cannot from a jail, can with the rule away.
func (w *world) tmcdReach(ctx context.Context) error {
	addr := netip.AddrPortFrom(w.host, tmcdPort).String()
	c, err := net.DialTimeout("tcp", addr, insideTimeout)
	if err != nil {
		return fmt.Errorf("from the host: %w", err)
	}
	c.Close()
	if _, err := w.enter(ctx, first, innerPath, "inside", "connect", addr); err == nil {
		return errors.New("a jail reaches tmcd")
	}
	port := fmt.Sprintf("tcp/%d", tmcdPort)
	if _, err := w.jailsetup(ctx, "hostports", "--add", port); err != nil {
		return err
	}
	_, err = w.enter(ctx, first, innerPath, "inside", "connect", addr)
	if _, back := w.jailsetup(ctx, "hostports", "--remove", port); back != nil {
		return back
	}
	if err != nil {
		return fmt.Errorf("with the rule taken away, so that its lack proves nothing: %w", err)
	}
	if _, err := w.enter(ctx, first, innerPath, "inside", "connect", addr); err == nil {
		return errors.New("a jail reaches tmcd after the rule is back")
	}
	return nil
}

// noSecrets: the search finds a word that is there, and not the planted one.
func (w *world) noSecrets(ctx context.Context) error {
	for _, vnode := range []string{first, second} {
		known := "demo-known-" + vnode
		if _, err := w.enter(ctx, vnode, "sh", "-c", "echo "+known+" > /var/tmp/known"); err != nil {
			return err
		}
		for word, want := range map[string]string{known: "/var/tmp/known\n", w.secret: ""} {
			out, err := w.enter(ctx, vnode, innerPath, "inside", "find", word)
			if err != nil {
				return err
			}
			if out != want {
				return fmt.Errorf("%s: files with %q: %q, want %q", vnode, word, out, want)
			}
		}
	}
	return nil
}

// ssh runs a command as a jail's user, over the network.
func (w *world) ssh(ctx context.Context, user string, addr netip.Addr, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "ssh", "-i", filepath.Join(stateDir, user), "-p", "22",
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-F", "none", user+"@"+addr.String(), command)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ssh %s@%s: %w: %s", user, addr, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func (w *world) login(ctx context.Context) error {
	out, err := w.ssh(ctx, "alice", w.jailAddr(1), "id -un; hostname -s; sudo -n id -un")
	if err != nil {
		return err
	}
	if want := "alice\nnode-a\nroot\n"; out != want {
		return fmt.Errorf("alice sees %q, want %q", out, want)
	}
	// Cannot: the wrong key.
	if err := os.Rename(filepath.Join(stateDir, "carol"), filepath.Join(stateDir, "mallory")); err != nil {
		return err
	}
	if _, err := w.ssh(ctx, "mallory", w.jailAddr(1), "true"); err == nil {
		return errors.New("an unknown account logs in")
	}
	return nil
}
