//go:build linux && privileged

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const corePattern = "/proc/sys/kernel/core_pattern"

// catchCores has this host hand every core dump to a program, as systemd-coredump
// and apport are, until the test ends. The kernel starts it in the host's first
// mount namespace, which needn't be ours: it is found through what crashes, and
// lies in the jail with the file in which it writes whose dumps they were, before
// it takes the dump: until then what crashed is there.
func catchCores(t *testing.T, r *rig) {
	t.Helper()
	r.sh(`printf '#!/bin/sh\necho $1 >>$2\ncat >/dev/null\n' >/tmp/catch; chmod 755 /tmp/catch; : >/tmp/seen`)
	before, err := os.ReadFile(corePattern)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(corePattern, before, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(corePattern, []byte("|/proc/%P/root/tmp/catch %e /proc/%P/root/tmp/seen\n"), 0); err != nil {
		t.Fatal(err)
	}
}

// TestT13CoresStayInside: what crashes in a jail starts no program of the host's,
// whatever limit the jail wants for it. A limit that is another, set by the host,
// shows that one would be started.
func TestT13CoresStayInside(t *testing.T) {
	r := boot(t, setup{})
	catchCores(t, r)
	crash := func(name, before string) {
		name = fmt.Sprintf("%s%d", name, os.Getpid())
		if out := r.sh(fmt.Sprintf("cp /bin/sh /tmp/%s; /tmp/%s -c '%s; kill -SEGV $$'; echo $?", name, name, before)); !strings.HasSuffix(out, "139") {
			t.Errorf("%s: %q, want 139: a crash", name, out)
		}
	}
	crash("plain", ":")
	crash("none", "ulimit -c 0")
	crash("all", "ulimit -c unlimited")
	crash("soft", "ulimit -S -c 0")
	if limits := r.sh("grep core /proc/self/limits"); strings.Join(strings.Fields(limits), " ") != "Max core file size 1 1 bytes" {
		t.Errorf("limits: %s", limits)
	}
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: 1}, nil); err != nil {
		t.Fatal(err)
	}
	crash("other", ":")
	other := fmt.Sprintf("other%d", os.Getpid())
	var names string
	eventually(t, "the host's program has seen a crash", func() bool {
		names = r.sh("cat /tmp/seen")
		return strings.Contains(names, other)
	})
	for name := range strings.FieldsSeq(names) {
		if strings.HasSuffix(name, fmt.Sprint(os.Getpid())) && name != other {
			t.Errorf("a program of the host's was started for %s", name)
		}
	}
}

// TestCoresNeedALimit: where the limit can't be set, stage 0 says so and runs
// nothing.
func TestCoresNeedALimit(t *testing.T) {
	fds, err := syscall.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	cmd := exec.Command("prlimit", "--core=0:0", "setpriv", "--bounding-set=-sys_resource", injail(t), "stage0")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	err = letGo(ours, setup{argv: []string{"never run"}})
	if waited := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "limit of core dumps") || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("stage 0 says %v and ends with %v", err, waited)
	}
}
