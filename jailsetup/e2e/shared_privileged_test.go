//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sharedTestbed has three vnodes without an address of their own: two with
// ranges of ports that are their experiment's alone, and one in the first's.
const sharedTestbed = `
  @V1@: {host: pc1, experiment: jails/demo, name: node-a, sshdport: 30001}
  @V2@: {host: pc1, experiment: jails/two, name: node-a, sshdport: 31001}
  @V3@: {host: pc1, experiment: jails/demo, name: node-b, sshdport: 30002}
  @V4@: {host: pc1, experiment: jails/none, name: node-a, sshdport: 30002}
`

const sharedExperiments = `
    ports: [30000, 30255]
  jails/two: {creator: alice, mounts: none, ports: [31000, 31255]}
  jails/none: {creator: alice, mounts: none}
hosts:
`

// newSharedRig is a host whose vnodes share its address.
func newSharedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, set{noMock: true})
	head, _, _ := strings.Cut(testbed, "vnodes:")
	head = strings.Replace(head, "\nhosts:\n", sharedExperiments, 1)
	head = strings.NewReplacer(", experiment: jails/demo, name: vhost-0", "").Replace(head)
	text := strings.NewReplacer("@HOST@", r.host.String(), "@V1@", r.vnodes[0], "@V2@", r.vnodes[1], "@V3@", r.free, "@V4@", r.foreign).
		Replace(head + "vnodes:" + sharedTestbed)
	r.write("testbed.yaml", text)
	r.startMock()
	return r
}

// banner is what answers at the host's address.
func (r *rig) banner(port int) (string, error) { return bannerAt(fmt.Sprintf("%s:%d", r.host, port)) }

func bannerAt(address string) (string, error) {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	buf := make([]byte, 8)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// Two experiments' vnodes on one host, neither with an address of its own.
func TestSharedAddress(t *testing.T) {
	r := newSharedRig(t)
	a, b := r.vnodes[0], r.vnodes[1]
	r.boot(a)
	r.boot(b)

	t.Run("sshd answers at the host's address", func(t *testing.T) {
		for _, port := range []int{30001, 31001} {
			r.await(fmt.Sprintf("sshd at port %d", port), func() error {
				got, err := r.banner(port)
				if err == nil && !strings.HasPrefix(got, "SSH-") {
					err = fmt.Errorf("it says %q", got)
				}
				return err
			})
		}
	})
	t.Run("sshd listens at its port, wherever the jail has an address", func(t *testing.T) {
		r.sshdListens(a, "0.0.0.0:30001", "[::]:30001")
	})
	t.Run("list says how to get in", func(t *testing.T) {
		j, _ := r.info(a)
		if j.Address != r.host.String() || j.SSHDPort != 30001 {
			t.Errorf("list says %s port %d", j.Address, j.SSHDPort)
		}
	})
	t.Run("jail.conf", func(t *testing.T) {
		conf := r.enter(a, "cat", "/run/emulab/jail.conf")
		for _, want := range []string{`SSHDPORT="30001"`, `JAILIP="100.64.0.`, `SHAREDIP="` + r.host.String() + `"`} {
			if !strings.Contains(conf, want) {
				t.Errorf("jail.conf lacks %s:\n%s", want, conf)
			}
		}
	})
	t.Run("tmcc speaks through the proxy", func(t *testing.T) {
		if got := r.enter(b, "tmcc", "status"); !strings.Contains(got, "jails/two") {
			t.Errorf("tmcc status says %q", got)
		}
	})
	t.Run("only ports of the range", func(t *testing.T) { r.portsOfTheRange(t, a) })
	t.Run("overlapping range refused", func(t *testing.T) {
		out := r.jailsetup("boot", r.free)
		if out.code != 1 || !strings.Contains(out.stderr, "overlaps that of "+a+" (30000,30255)") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.reports(r.free, "TBFAILED")
	})
	t.Run("no range refused", func(t *testing.T) {
		out := r.jailsetup("boot", r.foreign)
		if out.code != 1 || !strings.Contains(out.stderr, "PORTRANGE 0,65535") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.reports(r.foreign, "TBFAILED")
	})
	t.Run("a port at which the host listens refused", func(t *testing.T) { r.hostsPortRefused(t, b) })
	t.Run("a port at which a user of the host listens isn't theirs", func(t *testing.T) {
		r.must("kill", b)
		l, err := listenAs(1000, r.host.String()+":31022")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r.boot(b)
	})
	t.Run("the range is free after the jail", func(t *testing.T) {
		r.must("kill", a)
		if _, err := r.banner(30001); err == nil {
			t.Error("the port still answers")
		}
		r.boot(r.free)
	})
}

func (r *rig) portsOfTheRange(t *testing.T, a string) {
	inside := r.putInside(a, "inside")
	for _, row := range []struct{ network, addr, want string }{
		{"tcp", ":30000", "ok"}, {"udp", ":30255", "ok"}, {"tcp", ":29999", "operation not permitted"},
		{"udp", ":30256", "operation not permitted"}, {"tcp", ":22", "operation not permitted"},
		{"tcp", ":0", "range"}, {"udp", ":0", "range"}, {"connect", "127.0.0.1:30001", "range"},
	} {
		if got := strings.TrimSpace(r.enter(a, inside, "ports", row.network, row.addr, "30000", "30255")); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.network, row.addr, got, row.want)
		}
	}
	if out := r.jailsetup("enter", "-T", a, "sh", "-c", "echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range"); out.code == 0 {
		t.Error("the jail's root chooses its own range")
	}
}

func (r *rig) hostsPortRefused(t *testing.T, b string) {
	r.must("kill", b)
	for _, addr := range []string{r.host.String() + ":31022", "[::]:31022"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		out := r.jailsetup("boot", b)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if out.code != 1 || !strings.Contains(out.stderr, "this host itself listens on tcp/31022 at ") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		r.reports(b, "TBFAILED")
	}
	l, err := net.Listen("tcp", "127.0.0.1:31022")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.boot(b) // that is another address
}

// listenAs makes a listening socket of another user: a socket is of whom its
// maker's thread opens files as.
func listenAs(uid int, addr string) (net.Listener, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(uid); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	return l, errors.Join(err, unix.Setfsuid(0))
}
