//go:build linux && privileged

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

// sshdListens wants these to be all that is listened on in the jail by TCP.
func (r *rig) sshdListens(vnode string, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	r.await("sshd of "+vnode, func() error {
		got := strings.Fields(r.enter(vnode, "sh", "-c", "ss -Hltn | awk '{print $4}'"))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("it listens on %q, want %q", got, want)
		}
		return nil
	})
}

// sshdSays is what the jail's sshd would do, by its own account.
func (r *rig) sshdSays(vnode, key string) []string {
	r.t.Helper()
	var values []string
	for line := range strings.Lines(r.enter(vnode, "/usr/sbin/sshd", "-T")) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			values = append(values, strings.TrimSpace(value))
		}
	}
	slices.Sort(values)
	return values
}

// TestEtc: a jail's /etc is as jail.md §2.5 has it, in a jail that runs.
func TestEtc(t *testing.T) {
	r := newRig(t, set{})
	v, three := r.vnodes[0], strings.TrimSuffix(r.host.String(), "0")
	r.boot(v)
	t.Run("sshd listens at the jail's own addresses", func(t *testing.T) {
		r.sshdListens(v, three+"1:22", "10.1.1.2:22")
		if got, want := r.sshdSays(v, "listenaddress"), []string{"10.1.1.2:22", three + "1:22"}; !slices.Equal(got, want) {
			t.Errorf("sshd -T says %q, want %q", got, want)
		}
	})
	t.Run("no X11", func(t *testing.T) {
		if got := r.sshdSays(v, "x11forwarding"); !slices.Equal(got, []string{"no"}) {
			t.Errorf("sshd -T says %q", got)
		}
	})
	t.Run("again at the next boot, whatever was written there", func(t *testing.T) {
		r.enter(v, "sed", "-i", "s/^ListenAddress.*/ListenAddress 0.0.0.0/", "/etc/ssh/sshd_config")
		r.must("reboot", v)
		r.sshdListens(v, three+"1:22", "10.1.1.2:22")
	})
	t.Run("accounts", func(t *testing.T) {
		if got := r.enter(v, "id", "emulabman"); !strings.HasPrefix(got, "uid=65520(emulabman) gid=10(") {
			t.Errorf("emulabman: %s", got)
		}
		people := strings.TrimSpace(r.enter(v, "awk", "-F:", "$3 >= 1000 && $3 != 65534 && $1 != \"alice\" {print $1}", "/etc/passwd")) // alice is tmcd's
		if people != "emulabman" {
			t.Errorf("people: %q", people)
		}
		if got := r.enter(v, "awk", "-F:", `$2 != "*" {print $1}`, "/etc/shadow"); got != "" {
			t.Errorf("with a password: %q", got)
		}
	})
	t.Run("nothing is to be mounted", func(t *testing.T) {
		if got := r.jailsetup("enter", "-T", v, "grep", "-v", "^#", "/etc/fstab"); got.code != 1 || got.stdout != "" {
			t.Errorf("fstab: %q", got.stdout)
		}
	})
}

// TestNames: a jail with an address of its own asks a server on this host for
// names, and only if the operator lists its port.
func TestNames(t *testing.T) {
	r := newRig(t, set{site: "host_ports: [udp/53]"})
	r.serveNames(t, [4]byte{192, 0, 2, 7})
	v := r.vnodes[0]
	r.boot(v)
	servers := strings.Fields(r.enter(v, "awk", "$1 == \"nameserver\" {print $2}", "/etc/resolv.conf"))
	if len(servers) == 0 || servers[0] != r.host.String() {
		t.Fatalf("it is to ask %q, want %s first", servers, r.host)
	}
	if got := r.enter(v, "getent", "ahostsv4", "names.example"); !strings.HasPrefix(got, "192.0.2.7 ") {
		t.Errorf("names.example is %q", got)
	}
	r.must("hostports", "--remove", "udp/53")
	if got := r.jailsetup("enter", "-T", v, "getent", "ahostsv4", "names.example"); got.code != 2 || got.stdout != "" {
		t.Errorf("its port isn't listed, and names.example is %q (exit code %d)", got.stdout, got.code)
	}
}

// serveNames answers every question at this host's control address: each name
// has one address.
func (r *rig) serveNames(t *testing.T, address [4]byte) {
	t.Helper()
	c, err := net.ListenPacket("udp4", r.host.String()+":53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(question)
			if err != nil {
				return
			}
			const header = 12
			end := header + bytes.IndexByte(question[header:n], 0) + 5 // with type and class
			if n < header || end > n {
				continue
			}
			reply := slices.Clone(question[:end])
			copy(reply[2:header], []byte{0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0})        // an answer, one of it
			reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)       // that name, A, IN, a minute
			if _, err := c.WriteTo(append(reply, address[:]...), from); err != nil { // nobody is told
				return
			}
		}
	}()
}
