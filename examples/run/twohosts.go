//go:build linux

package main

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

	"emujail/examples/wait"
	"emujail/jailsetup/lab"
	"emujail/jailsetup/removal"
)

// Where the two hosts keep their things; their site files say so too.
const (
	twoDir    = "/var/emulab/two-hosts"
	bossAddr  = "192.0.2.1"
	secondary = "192.0.2.2"
)

var twoHosts = [...]struct{ netns, dev, addr, site, vnode string }{
	{"emtwo1", "emtwo1u", bossAddr, "site1.yaml", "pcvm1-1"},
	{"emtwo2", "emtwo2u", secondary, "site2.yaml", "pcvm2-1"},
}

// runTwoHosts makes two hosts out of network namespaces, joined by a cable, and
// boots a node on each.
func runTwoHosts(ctx context.Context, w *world) (err error) {
	if err := clearTwoHosts(ctx, w); err != nil { // of a broken run
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), exampleTimeout)
		defer cancel()
		err = errors.Join(err, clearTwoHosts(ctx, w))
	}()
	if err := makeTwoHosts(ctx, w); err != nil {
		return err
	}
	mock, err := w.startMock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = mock.Process.Signal(syscall.SIGTERM)
		_ = mock.Wait()
	}()
	for n, h := range twoHosts {
		if _, err := w.on(ctx, n, "jailsetup", "--site", filepath.Join(w.dir, h.site), "boot", h.vnode); err != nil {
			return err
		}
	}
	if err := wait.Until(ctx, time.Minute, "both nodes to be up", func() error { return w.bothUp(ctx) }); err != nil {
		return err
	}
	_, err = w.on(ctx, 0, "jailsetup", "--site", filepath.Join(w.dir, twoHosts[0].site), "enter", "-T", "node-a",
		"ping", "-c", "3", "-i", "0.3", "-W", "2", "node-b")
	return err
}

// on runs one of our programs on one of the hosts. The namespace is entered by
// nsenter: `ip netns exec` would hide the cgroups.
func (w *world) on(ctx context.Context, n int, program string, args ...string) (string, error) {
	return w.output(ctx, "nsenter", append([]string{"--net=/run/netns/" + twoHosts[n].netns, filepath.Join(w.bin, program)}, args...)...)
}

func makeTwoHosts(ctx context.Context, w *world) error {
	if err := os.MkdirAll(twoDir, 0o700); err != nil {
		return err
	}
	a, b := twoHosts[0], twoHosts[1]
	for _, line := range [][]string{
		{"netns", "add", a.netns}, {"netns", "add", b.netns},
		{"-n", a.netns, "link", "add", a.dev, "type", "veth", "peer", "name", b.dev, "netns", b.netns},
	} {
		if _, err := w.output(ctx, "ip", line...); err != nil {
			return err
		}
	}
	for _, h := range twoHosts {
		for _, line := range [][]string{
			{"-n", h.netns, "link", "set", "lo", "up"},
			{"-n", h.netns, "address", "add", h.addr + "/24", "dev", h.dev},
			{"-n", h.netns, "link", "set", h.dev, "up"},
		} {
			if _, err := w.output(ctx, "ip", line...); err != nil {
				return err
			}
		}
	}
	_, err := w.output(ctx, filepath.Join(w.bin, "tmcd-mock"), "pki", filepath.Join(twoDir, "certs"),
		"--server-name", "boss.emulab.test", "--server-ip", bossAddr)
	return err
}

// startMock starts tmcd on the first host.
func (w *world) startMock(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.Command("nsenter", "--net=/run/netns/"+twoHosts[0].netns, filepath.Join(w.bin, "tmcd-mock"), "serve",
		"--testbed", filepath.Join(w.dir, "testbed.yaml"), "--listen", bossAddr+":7777",
		"--pki", filepath.Join(twoDir, "certs"), "--manage", filepath.Join(twoDir, "mock"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = nil, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := wait.Until(ctx, 10*time.Second, "tmcd-mock to serve", func() error {
		_, err := w.states(ctx)
		return err
	})
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("tmcd-mock: %w: %s", err, said.String())
	}
	return cmd, nil
}

func (w *world) states(ctx context.Context) (map[string]string, error) {
	out, err := w.output(ctx, filepath.Join(w.bin, "tmcd-mock"), "show", "--json", "--manage", filepath.Join(twoDir, "mock"))
	if err != nil {
		return nil, err
	}
	return lab.ReadStates([]byte(out))
}

func (w *world) bothUp(ctx context.Context) error {
	states, err := w.states(ctx)
	if err != nil {
		return err
	}
	for _, h := range twoHosts {
		if states[h.vnode] != "ISUP" {
			return fmt.Errorf("%s is %s", h.vnode, states[h.vnode])
		}
	}
	return nil
}

// clearTwoHosts removes all of it, whole or half made.
func clearTwoHosts(ctx context.Context, w *world) error {
	var errs []error
	for n, h := range twoHosts {
		if _, err := os.Stat("/run/netns/" + h.netns); err != nil {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("%s/%d", twoDir, n+1)); err == nil {
			_, err := w.on(ctx, n, "jailsetup", "--site", filepath.Join(w.dir, h.site), "stop", "--clean")
			errs = append(errs, err)
		}
		_, err := w.output(ctx, "ip", "netns", "del", h.netns)
		errs = append(errs, err, removal.Tree(fmt.Sprintf("/run/emulab-two-%d", n+1)))
	}
	if err := errors.Join(errs...); err != nil {
		return err // what is left is needed to clean up
	}
	return removal.Tree(twoDir)
}
