//go:build linux && privileged

package network

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"emujail/jailsetup/plan"
)

// A real jail's network namespace belongs to its inner user namespace (spec/linux.md
// §5). The steps work there, and its root sees the ping range as its own ids.
func TestInnerUserNamespace(t *testing.T) {
	r := newRig(t)
	empty := r.listing()
	const base = 1_000_000
	cmd := exec.Command("cat") // waits until its input ends
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{}, Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	j := r.prepare(1, 1)
	j.ns.Close()
	if j.ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	for _, s := range j.steps(1, "p/one") {
		if _, ok := s.(Inside); ok {
			s = Inside{IDBase: base}
		}
		r.do(s, &plan.State{PID: cmd.Process.Pid, NetNS: j.ns}, &j.undo)
	}
	r.listen(j.ns, j.addr, 22)
	if err := r.tcp(nil, j.addr, 22); err != nil {
		t.Errorf("host to jail: %v", err)
	}
	out, err := exec.Command("nsenter", fmt.Sprintf("--user=/proc/%d/ns/user", cmd.Process.Pid),
		fmt.Sprintf("--net=/proc/%d/ns/net", cmd.Process.Pid), "cat", "/proc/sys/net/ipv4/ping_group_range").CombinedOutput()
	if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != "0 65535" {
		t.Errorf("ping range inside %q, %v; want 0 65535", got, err)
	}
	input.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	j.kill() // while the kernel takes the namespace down
	if got := r.listing(); strings.Join(got, "\n") != strings.Join(empty, "\n") {
		t.Errorf("left:\n%s", strings.Join(got, "\n"))
	}
}
