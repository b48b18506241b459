//go:build linux && privileged

package e2e

import (
	"fmt"
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
	v, net := r.vnodes[0], strings.TrimSuffix(r.host.String(), "0")
	r.boot(v)
	t.Run("sshd listens at the jail's own addresses", func(t *testing.T) {
		r.sshdListens(v, net+"1:22", "10.1.1.2:22")
		if got, want := r.sshdSays(v, "listenaddress"), []string{"10.1.1.2:22", net + "1:22"}; !slices.Equal(got, want) {
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
		r.sshdListens(v, net+"1:22", "10.1.1.2:22")
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
