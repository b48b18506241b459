//go:build linux && privileged

package permit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/plan"
)

// The tests run themselves again as the process that is held: in a cgroup of
// its own, told by its arguments what to try.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "try" {
		os.Exit(try(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// try binds and prints the address it got, or sends a frame.
func try(network, addr string) int {
	switch {
	case network == "frame":
		return tryFrame(addr)
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

// tryFrame sends one frame by a packet socket on the link.
func tryFrame(name string) int {
	l, err := net.InterfaceByName(name)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	frame := make([]byte, 60)
	for i := range 6 {
		frame[i] = 0xff
	}
	frame[12], frame[13] = 0x88, 0xb5 // an ether type for experiments
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index, Halen: 6}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestCapture: injection fails with the program and works without it.
func TestCapture(t *testing.T) {
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with its namespace
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Errorf("lo up: %v: %s", err, out)
			return
		}
		send := func() error { return exec.Command("/proc/self/exe", "try", "frame", "lo").Run() }
		if err := send(); err != nil {
			t.Errorf("without the program: %v", err)
		}
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		if err := (permit.Capture{Links: []string{"lo"}}).Do(context.Background(), &plan.State{NetNS: ns}); err != nil {
			t.Error(err)
			return
		}
		if err := send(); err == nil {
			t.Error("with the program a frame was sent")
		}
		c, err := net.Dial("udp4", "127.0.0.1:9")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Errorf("an ordinary packet: %v", err)
		}
	}()
	<-done
}
