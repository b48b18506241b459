//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/lab"
)

// needed are Debian's packages that jails and checks are made of.
var needed = []struct{ name, file, why string }{
	{"openssh-server", "/usr/sbin/sshd", "the jails' sshd"},
	{"openssh-client", "/usr/bin/ssh", "to log in"},
	{"cron", "/usr/sbin/cron", "the jails' cron"},
	{"busybox", "/usr/bin/busybox", "the jails' syslogd"},
	{"e2fsprogs", "/usr/sbin/mkfs.ext4", "the jails' disks"},
	{"sudo", "/usr/bin/sudo", "for the jails' users"},
}

// Policy-rc.d keeps a package's scripts from starting its service on the host.
const (
	policyPath = "/usr/sbin/policy-rc.d"
	policyText = "#!/bin/sh\n# Written by the demo while it installs packages; removed right after.\nexit 101\n"
)

// installedList remembers what was installed, for clean-host.
const installedList = "/var/emulab/demo-packages"

func missingPackages() ([]string, error) {
	var missing []string
	for _, p := range needed {
		_, err := os.Stat(p.file)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, p.name)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func describe(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	return "Debian packages " + strings.Join(missing, ", ") + " (some 10 MB; their services are not started)"
}

// install brings the missing packages in, without starting or removing
// anything.
func install(ctx context.Context, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("packages %s are missing and there is no apt-get to install them", strings.Join(missing, ", "))
	}
	lift, err := forbidStarting()
	if err != nil {
		return err
	}
	defer lift()
	if err := remember(missing); err != nil {
		return err
	}
	args := append([]string{"install", "-y", "-q", "--no-remove", "--no-install-recommends"}, missing...)
	if err := apt(ctx, args...); err == nil {
		return nil
	}
	if err := apt(ctx, "update", "-q"); err != nil { // the lists may be old, or none
		return err
	}
	return apt(ctx, args...)
}

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return nil
}

// forbidStarting puts a policy-rc.d in place, unless the host has its own.
func forbidStarting() (lift func(), err error) {
	f, err := os.OpenFile(policyPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	lift = func() { os.Remove(policyPath) }
	_, err = f.WriteString(policyText)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		lift()
		return nil, err
	}
	return lift, nil
}

func remember(packages []string) error {
	if err := os.MkdirAll(filepath.Dir(installedList), 0o755); err != nil {
		return err
	}
	all := append(remembered(), packages...)
	slices.Sort(all)
	return os.WriteFile(installedList, []byte(strings.Join(slices.Compact(all), "\n")+"\n"), 0o644)
}

func remembered() []string {
	data, err := os.ReadFile(installedList)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// stays says what is on the host that wasn't before.
func stays() string {
	if p := remembered(); len(p) > 0 {
		return "Left on this host: the packages " + strings.Join(p, ", ") + ". `make clean-host` removes them."
	}
	return "Left on this host: nothing but the build (`make clean` removes that, `make clean-host` whatever a broken run left)."
}

// removeLab removes the lab of `jailsetup up` if its supervisor is gone; one that
// is up is its owner's to end.
func removeLab(ctx context.Context, bin string, l lab.Lab) error {
	if !l.Exists() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	program := filepath.Join(bin, "jailsetup")
	if err := exec.CommandContext(ctx, program, "--site", l.SitePath(), "info").Run(); err == nil {
		return fmt.Errorf("a lab of `jailsetup up` is up; end it first: sudo %s down (nothing was removed)", program)
	}
	if out, err := exec.CommandContext(ctx, program, "down").CombinedOutput(); err != nil {
		return fmt.Errorf("jailsetup down: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// cleanHost removes what a demo may have left, and the packages that one has
// installed.
func cleanHost(ctx context.Context) error {
	bin, err := binDir()
	if err != nil {
		return err
	}
	if err := removeLab(ctx, bin, lab.Lab{Dir: lab.DefaultDir, Bin: bin}); err != nil {
		return err
	}
	if err := sweep(ctx); err != nil {
		return err
	}
	if p := remembered(); len(p) > 0 {
		fmt.Printf("removing %s\n", strings.Join(p, ", "))
		if err := apt(ctx, append([]string{"purge", "-y", "-q"}, p...)...); err != nil {
			return err
		}
	}
	if err := os.Remove(installedList); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(installedList)) // unless something else lives there
	fmt.Println("clean-host: ok")
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
