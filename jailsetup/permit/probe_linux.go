package permit

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// ProbeCgroup tries to attach, to a cgroup v2 directory of the caller's that no
// process is in, a program such as [Bind]'s. It goes with the directory.
func ProbeCgroup(dir string) error {
	cgroup, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer cgroup.Close()
	if err := attach(int(cgroup.Fd()), ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Bind, Bind{}.bind4()); err != nil {
		return fmt.Errorf("attach a program to a cgroup: %w", err)
	}
	return nil
}

// ProbeLink tries to attach a program such as [Capture]'s to the link of this
// number in the calling thread's network namespace. It goes with the link.
func ProbeLink(index int) error {
	if err := attach(index, ebpf.SchedCLS, ebpf.AttachTCXEgress, dropInjected()); err != nil {
		return fmt.Errorf("attach a program to a link: %w", err)
	}
	return nil
}
