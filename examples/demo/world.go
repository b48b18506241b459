//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"emujail/examples/wait"
	"emujail/jailsetup/lab"
	"emujail/jailsetup/leftover"
	"emujail/jailsetup/network"
	"emujail/jailsetup/removal"
)

// Where the demo lives. Not where a host's real jails do.
const (
	stateDir = "/var/emulab/demo"
	runDir   = "/run/emulab-demo"
)

// The two jails.
const (
	first  = "pcvm1-1"
	second = "pcvm1-2"
)

const (
	tmcdPort = 7777
	webPort  = 8088
)

// runTimeout bounds what a program is waited for.
const runTimeout = 2 * time.Minute

// world is the demo's testbed while it stands.
type world struct {
	bin       string // directory of the programs
	template  string // path of the testbed with marks to fill in
	host      netip.Addr
	site      string           // path of the site file
	testbed   string           // path of the testbed file
	manage    string           // tmcd-mock's socket
	keep      bool             // leave the jails running at the end
	before    leftover.Listing // of the host before the demo
	withWorld leftover.Listing // and just before the first jail
	secret    string           // words that must not be found in a jail
	mock      *exec.Cmd
	serve     *exec.Cmd
}

// newWorld sweeps away what a broken run left, and sets everything up short of
// the jails.
func newWorld(ctx context.Context, template string) (*world, error) {
	if err := sweep(ctx); err != nil {
		return nil, fmt.Errorf("sweep away an earlier run: %w", err)
	}
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	w := &world{
		bin: bin, template: template, site: filepath.Join(stateDir, "site.yaml"), testbed: filepath.Join(stateDir, "testbed.yaml"),
		manage: filepath.Join(stateDir, "mock.sock"),
	}
	if w.before, err = list(); err != nil {
		return nil, err
	}
	if err := w.setUp(ctx); err != nil {
		return nil, errors.Join(err, w.takeDown())
	}
	return w, nil
}

func (w *world) setUp(ctx context.Context) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	prefix, err := network.FreePrefix(ctx, 12, network.DefaultUplink)
	if err != nil {
		return err
	}
	control, err := network.ControlIn(prefix, 1)
	if err != nil {
		return err
	}
	w.host = control.Host
	for _, step := range []func() error{
		w.plantSecrets, func() error { return w.makeKeys(ctx) }, w.makeTarball, w.writeTestbed,
		func() error { return w.writeSite(prefix) },
		func() error {
			return w.runProgram(ctx, "tmcd-mock", "pki", filepath.Join(stateDir, "certs"),
				"--server-name", "boss.emulab.test", "--server-ip", w.host.String())
		},
		func() error { return w.startServe(ctx) },
		func() error { return w.startMock(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func binDir() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.Dir(self), nil
}

func (w *world) writeSite(prefix netip.Prefix) error {
	text := fmt.Sprintf(`# The site file of the demo.
boss: %s
certificates: %s
state: %s
run: %s
programs: %s
control: {prefix: %s, number: 1}
host_ports: [tcp/%d]
web: http://%s
`, netip.AddrPortFrom(w.host, tmcdPort), filepath.Join(stateDir, "certs"), filepath.Join(stateDir, "jails"), runDir,
		w.bin, prefix, webPort, netip.AddrPortFrom(w.host, webPort))
	return os.WriteFile(w.site, []byte(text), 0o600)
}

// writeTestbed fills in the marks of the demo's testbed.
func (w *world) writeTestbed() error {
	data, err := os.ReadFile(w.template)
	if err != nil {
		return err
	}
	text := string(data)
	three := strings.Join(strings.Split(w.host.String(), ".")[:3], ".")
	for mark, value := range map[string]string{
		"@CONTROL@": three, "@WEBPORT@": strconv.Itoa(webPort),
		"@ALICE_KEY@": w.publicKey("alice"), "@BOB_KEY@": w.publicKey("bob"),
	} {
		text = strings.ReplaceAll(text, mark, value)
	}
	return os.WriteFile(w.testbed, []byte(text), 0o600)
}

func (w *world) publicKey(user string) string {
	data, err := os.ReadFile(filepath.Join(stateDir, user+".pub"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (w *world) makeKeys(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	for _, user := range []string{"alice", "bob", "carol"} {
		out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user+"@demo", "-f", filepath.Join(stateDir, user)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ssh-keygen: %w: %s", err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// start starts a program of ours in the background, with its output in a log.
func (w *world) start(name string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(stateDir, name+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(w.bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupted demo ends them itself
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd, os.WriteFile(filepath.Join(stateDir, name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

func (w *world) startServe(ctx context.Context) (err error) {
	if w.serve, err = w.start("jailsetup", "--site", w.site, "serve"); err != nil {
		return err
	}
	return wait.Until(ctx, 20*time.Second, "the supervisor to serve", func() error {
		return w.runProgram(ctx, "jailsetup", "--site", w.site, "info")
	})
}

func (w *world) startMock(ctx context.Context) (err error) {
	w.mock, err = w.start("tmcd-mock", "serve", "--testbed", w.testbed,
		"--listen", netip.AddrPortFrom(w.host, tmcdPort).String(), "--pki", filepath.Join(stateDir, "certs"), "--manage", w.manage,
		"--web", netip.AddrPortFrom(w.host, webPort).String(), "--web-root", filepath.Join(stateDir, "web"))
	if err != nil {
		return err
	}
	return wait.Until(ctx, 10*time.Second, "tmcd-mock to serve", func() error {
		return w.runProgram(ctx, "tmcd-mock", "show", "--manage", w.manage)
	})
}

// runProgram runs one of ours and makes its words the error.
func (w *world) runProgram(ctx context.Context, name string, args ...string) error {
	_, err := w.output(ctx, name, args...)
	return err
}

func (w *world) output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, name), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func (w *world) jailsetup(ctx context.Context, args ...string) (string, error) {
	return w.output(ctx, "jailsetup", append([]string{"--site", w.site}, args...)...)
}

// takeDown removes everything that the demo made.
func (w *world) takeDown() error {
	err := sweep(context.Background())
	if err == nil && w.before != nil {
		err = w.awaitAsBefore()
	}
	for _, cmd := range []*exec.Cmd{w.serve, w.mock} {
		if cmd == nil {
			continue
		}
		if err != nil {
			_ = cmd.Process.Kill() // it may be there still: the next run sweeps the rest away
		}
		_ = cmd.Wait() // sweep has ended it
	}
	return err
}

// sweep removes what a demo has made, whichever process made it: jails,
// supervisor, tmcd-mock, files.
func sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	bin, err := binDir()
	if err != nil {
		return err
	}
	site := filepath.Join(stateDir, "site.yaml")
	if _, err := os.Stat(site); err == nil {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "jailsetup"), "--site", site, "stop", "--clean")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("jailsetup stop --clean: %w: %s", err, bytes.TrimSpace(out))
		}
	}
	if err := endRecorded("tmcd-mock"); err != nil {
		return err
	}
	return errors.Join(removeSecrets(), removal.Tree(stateDir), removal.Tree(runDir))
}

// endRecorded ends the process whose pid a run has written down, if it is
// still that program.
func endRecorded(name string) error {
	data, err := os.ReadFile(filepath.Join(stateDir, name+".pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(data)))
	if err := errors.Join(err, convErr); err != nil {
		return err
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || strings.TrimSuffix(filepath.Base(exe), " (deleted)") != name {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	return wait.Until(context.Background(), 10*time.Second, name+" to end", func() error {
		var ws syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil) // if it is our child
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return errors.New("still there")
		}
		return nil
	})
}

func (w *world) stateOf(ctx context.Context, vnode string) (string, error) {
	out, err := w.output(ctx, "tmcd-mock", "show", "--json", "--manage", w.manage)
	if err != nil {
		return "", err
	}
	states, err := lab.ReadStates([]byte(out))
	if err != nil {
		return "", err
	}
	state, known := states[vnode]
	if !known {
		return "", fmt.Errorf("tmcd-mock doesn't know %s", vnode)
	}
	return state, nil
}

// explain says how to look around.
func (w *world) explain() {
	fmt.Printf(`
The jails are left running. To look around:
  sudo %[1]s/jailsetup --site %[2]s list
  sudo %[1]s/jailsetup --site %[2]s enter %[3]s
  sudo ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i %[4]s/alice alice@%[5]s
  sudo %[1]s/tmcd-mock show --manage %[6]s
'make clean-host' removes it all.
`, w.bin, w.site, first, stateDir, w.jailAddr(1), w.manage)
}

// showLogs prints the ends of the logs: something has failed.
func (w *world) showLogs() {
	for _, name := range []string{"jailsetup.log", "tmcd-mock.log"} {
		data, err := os.ReadFile(filepath.Join(stateDir, name))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		fmt.Fprintf(os.Stderr, "--- end of %s\n%s\n", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// jailAddr is the address of the n-th jail.
func (w *world) jailAddr(n byte) netip.Addr {
	b := w.host.As4()
	b[3] = n
	return netip.AddrFrom4(b)
}
