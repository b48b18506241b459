//go:build linux && privileged

package permit_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/permit"
)

// The tests run themselves again as the process that is held: in a cgroup of
// its own, told by its arguments what to try.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "try" {
		os.Exit(try(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// try binds and prints the address it got.
func try(network, addr string) int {
	switch {
	case strings.HasPrefix(network, "udp"):
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			fmt.Println(errors.Unwrap(errors.Unwrap(err)))
			return 1
		}
		fmt.Println(c.LocalAddr())
	default:
		l, err := net.Listen(network, addr)
		if err != nil {
			fmt.Println(errors.Unwrap(errors.Unwrap(err)))
			return 1
		}
		fmt.Println(l.Addr())
	}
	return 0
}

// inCgroup makes a cgroup and returns its directory and a way to run a try in
// it.
func inCgroup(t *testing.T) (string, func(args ...string) (string, error)) {
	t.Helper()
	h, err := limit.Discover()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(h.V2, "permit-test-"+fmt.Sprint(os.Getpid())+"-"+strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return dir, func(args ...string) (string, error) {
		cmd := exec.Command("/proc/self/exe", append([]string{"try"}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
}

func TestBind(t *testing.T) {
	primary := netip.MustParseAddr("127.0.0.5")
	tests := []struct {
		name          string
		bind          permit.Bind
		network, addr string
		want          string // the address bound, up to the port; or the error
	}{
		{"wildcard stays without the bit's zero", permit.Bind{PortLow: 1, PortHigh: 65535}, "tcp4", ":0", "0.0.0.0:"},
		{"INADDRANY=0 tcp", permit.Bind{Primary: primary}, "tcp4", ":0", "127.0.0.5:"},
		{"INADDRANY=0 udp", permit.Bind{Primary: primary}, "udp4", ":0", "127.0.0.5:"},
		{"INADDRANY=0 an address of its own stays", permit.Bind{Primary: primary}, "tcp4", "127.0.0.6:0", "127.0.0.6:"},
		{"INADDRANY=0 the IPv6 wildcard", permit.Bind{Primary: primary}, "tcp", "[::]:0", "127.0.0.5:"},
		{"INADDRANY=0 the IPv6 wildcard, udp", permit.Bind{Primary: primary}, "udp", "[::]:0", "127.0.0.5:"},
		{"INADDRANY=0 the wildcard of IPv6 alone", permit.Bind{Primary: primary}, "tcp6", "[::]:0", "invalid argument"},
		{"INADDRANY=0 the wildcard of IPv6 alone, udp", permit.Bind{Primary: primary}, "udp6", "[::]:0", "invalid argument"},
		{"in range", permit.Bind{PortLow: 31000, PortHigh: 31010}, "tcp4", "127.0.0.1:31005", "127.0.0.1:31005"},
		{"lowest", permit.Bind{PortLow: 31000, PortHigh: 31010}, "udp4", "127.0.0.1:31000", "127.0.0.1:31000"},
		{"highest", permit.Bind{PortLow: 31000, PortHigh: 31010}, "tcp4", "127.0.0.1:31010", "127.0.0.1:31010"},
		{"below", permit.Bind{PortLow: 31000, PortHigh: 31010}, "tcp4", "127.0.0.1:30999", "operation not permitted"},
		{"above", permit.Bind{PortLow: 31000, PortHigh: 31010}, "udp4", "127.0.0.1:31011", "operation not permitted"},
		{"sshd's", permit.Bind{PortLow: 31000, PortHigh: 31010}, "tcp6", "[::1]:22", "operation not permitted"},
		{"both", permit.Bind{Primary: primary, PortLow: 31000, PortHigh: 31010}, "tcp4", ":31003", "127.0.0.5:31003"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, run := inCgroup(t)
			tt.bind.CgroupDir = dir
			if err := tt.bind.Do(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			out, _ := run(tt.network, tt.addr)
			if !strings.HasPrefix(strings.TrimPrefix(out, "bind: "), tt.want) {
				t.Errorf("bind %s %s: %q, want %q", tt.network, tt.addr, out, tt.want)
			}
		})
	}
}
