//go:build linux && privileged

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// refusal is one way to ask for what can't be.
type refusal struct {
	name string
	set  set
	do   func(r *rig) result
	code int
	says []string // all in one line on stderr; the last is the remedy
}

// boots is the usual thing to ask for.
func boots(r *rig) result { return r.jailsetup("boot", r.vnodes[0]) }

// served is a boot by a verb that has to start the supervisor first.
var served = set{noServe: true, noMock: true}

var refusals = []refusal{
	{"site file with a mistake", set{noServe: true, noMock: true, site: "host_ports: {tcp: many}"}, boots, 1,
		[]string{"site.yaml:8", "sequence is expected"}},
	{"site file with an unknown key", set{noServe: true, noMock: true, site: "uplink: eth0"}, boots, 1,
		[]string{"site.yaml:8", "uplink"}},
	{"site file with a relative path", set{noServe: true, noMock: true, site: "web: x\ngrace: 2h"}, boots, 1,
		[]string{"site.yaml", "grace: want 0s to 1m"}},
	{"no site file", served, func(r *rig) result {
		return r.run("jailsetup", "--site", r.path("nothing.yaml"), "boot", r.vnodes[0])
	}, 1, []string{"nothing.yaml", "no such file"}},
	{"no vnode given", served, func(r *rig) result { return r.jailsetup("boot") }, 2, []string{"want one VNODE", "--help"}},
	{"a name that is a path", served, func(r *rig) result { return r.jailsetup("boot", "../x") }, 2, []string{`"../x"`, "as tmcd knows it"}},
	{"an unknown option", served, func(r *rig) result { return r.jailsetup("boot", "--now", r.vnodes[0]) }, 2, []string{"--now", "jailsetup boot --help"}},
	{"an unknown verb", served, func(r *rig) result { return r.jailsetup("start", r.vnodes[0]) }, 2, []string{`"start"`, "--help"}},
	{"no such vnode", set{}, func(r *rig) result { return r.jailsetup("boot", runKey()+"-none") }, 1,
		[]string{"cannot boot", "says nothing", "knows no such vnode"}},
	{"a vnode that is free", set{}, func(r *rig) result { return r.jailsetup("boot", r.free) }, 4,
		[]string{"cannot boot", "not allocated"}},
	{"a vnode of another host", set{}, func(r *rig) result { return r.jailsetup("boot", r.foreign) }, 1,
		[]string{"cannot boot", "says nothing"}},
	{"halt of a vnode that isn't here", set{}, func(r *rig) result { return r.jailsetup("halt", r.vnodes[0]) }, 1,
		[]string{"no such jail", "jailsetup list"}},
	{"enter of a vnode that isn't here", set{}, func(r *rig) result { return r.jailsetup("enter", r.vnodes[0], "true") }, 1,
		[]string{"no such jail", "jailsetup list"}},
	{"enter of a vnode that isn't here, without a supervisor", served, func(r *rig) result { return r.jailsetup("enter", r.vnodes[0], "true") }, 1,
		[]string{"no such jail", "jailsetup list"}},
	{"halt of a vnode that isn't here, without a supervisor", served, func(r *rig) result { return r.jailsetup("halt", r.vnodes[0]) }, 1,
		[]string{"no such jail", "jailsetup list"}},
	{"info without a supervisor", served, func(r *rig) result { return r.jailsetup("info") }, 1,
		[]string{"jailsetup: no supervisor runs (boot, enter and other verbs that need one start it)"}},
	{"not root", served, func(r *rig) result { return r.asNobody("boot", r.vnodes[0]) }, 1, []string{"must be root", "sudo"}},
	{"tmcd isn't there", set{noMock: true}, boots, 1, []string{"report BOOTING", "refused", "boss:"}},
	{"tmcd isn't there, at the supervisor's start", served, boots, 1, []string{"report BOOTING", "refused", "boss:"}},
	{"tmcd doesn't answer the connection", set{noMock: true, site: "tmcd_timeout: 1s"}, blackHole, 1,
		[]string{"report BOOTING", "tmcd_timeout"}},
	{"tmcd doesn't answer the question", set{site: "tmcd_timeout: 1s"}, func(r *rig) result {
		r.fault("hang command=status")
		return boots(r)
	}, 1, []string{"ask for status", "tmcd_timeout"}},
	{"tmcd's answer is garbage", set{}, func(r *rig) result {
		r.fault("garbage command=status")
		return boots(r)
	}, 1, []string{"status"}},
	{"boss has no address", served, func(r *rig) result {
		r.edit("site.yaml", netip.AddrPortFrom(r.host, tmcdPort).String(), "nowhere.invalid")
		return boots(r)
	}, 1, []string{"nowhere.invalid", "set boss in the site file"}},
	{"certificate of another CA", set{noServe: true, noMock: true}, otherCA, 1, []string{"report BOOTING", "certificate", "certificates:"}},
	{"no certificate", served, func(r *rig) result {
		r.edit("site.yaml", certificates(r.t, r.host), r.path("nowhere"))
		return boots(r)
	}, 1, []string{"emulab.pem", "does not exist", "certificates:"}},
	{"a certificate that is none", served, brokenCertificate, 1, []string{"emulab.pem", "no certificate", "certificates:"}},
	{"control prefix taken", set{noServe: true, noMock: true}, prefixTaken, 3, []string{"172.16.0.0/12", "172.20.0.0/16", "control prefix"}},
	{"tmcd-mock's port taken", set{noMock: true}, portTaken, 1, []string{"7777", "in use"}},
	{"mkfs.ext4 missing", set{noServe: true, noMock: true}, noMkfs, 3, []string{"mkfs.ext4", "apt-get install e2fsprogs"}},
	{"no cgroup v2", set{noServe: true, noMock: true}, noCgroup, 3, []string{"cgroup v2", "mount -t cgroup2"}},
	{"injail missing", set{noServe: true, noMock: true}, func(r *rig) result { return r.without("injail") }, 1,
		[]string{"injail", "no such file", "programs:"}},
	{"jailspawn missing", set{noServe: true, noMock: true}, func(r *rig) result { return r.without("jailspawn") }, 1,
		[]string{"jailspawn", "no such file", "programs:"}},
	{"the proxy missing", set{noServe: true, noMock: true}, func(r *rig) result { return r.without("tmcc") }, 1,
		[]string{"tmcc", "no such file", "programs:"}},
	{"disk full while the template is made", set{noMock: true, noServe: true, fresh: true}, func(r *rig) result { return r.fullDisk(noTemplate) }, 1,
		[]string{"template", "o space left"}},
	{"disk full while the image is made", set{noMock: true, noServe: true}, func(r *rig) result { return r.fullDisk(1 << 20) }, 1,
		[]string{"clone disk", "no space left"}},
	{"disk full before the record", set{noMock: true, noServe: true}, func(r *rig) result {
		out := r.fullDisk(0)
		r.reports(r.vnodes[0], "TBFAILED")
		return out
	}, 1,
		[]string{"no space left"}},
}

// TestRefusals: what can't be is said in one line, with the right exit code,
// and nothing is left of it.
func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.set)
			out := c.do(r)
			said := out.complaint()
			if out.code != c.code {
				t.Errorf("exit code %d, want %d", out.code, c.code)
			}
			if said == "" {
				t.Errorf("not one line: %q", out.stderr)
			}
			for _, word := range c.says {
				if !strings.Contains(said, word) {
					t.Errorf("doesn't say %q: %s", word, said)
				}
			}
			if out.stdout != "" {
				t.Errorf("says on stdout: %q", out.stdout)
			}
			r.noJailLeft()
			if t.Failed() || testing.Verbose() {
				t.Logf("%s (%s)", said, out.took.Round(time.Millisecond))
			}
		})
	}
}

// noJailLeft fails if a record, a directory or a cgroup of a vnode is there.
func (r *rig) noJailLeft() {
	r.t.Helper()
	for _, dir := range []string{r.state(), filepath.Join(r.path("run"), "jails")} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), runKey()) {
				r.t.Errorf("left: %s", filepath.Join(dir, e.Name()))
			}
		}
	}
	making, _ := filepath.Glob(filepath.Join(r.state(), ".templates", ".making*"))
	if len(making) > 0 {
		r.t.Errorf("left: %v", making)
	}
	if left, _ := cgroups(); len(left) > 0 {
		r.t.Errorf("left: %v", left)
	}
}

func (r *rig) edit(name, old, new string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		r.t.Fatalf("%s doesn't hold %q", name, old)
	}
	r.write(name, strings.ReplaceAll(string(data), old, new))
}

func (r *rig) fault(rule string) {
	r.t.Helper()
	args := append([]string{"fault", "add", "--manage", r.path("mock")}, strings.Fields(rule)...)
	if out := r.run("tmcd-mock", args...); out.code != 0 {
		r.t.Fatal(out.err())
	}
}

// asNobody is a verb of somebody who isn't root.
func (r *rig) asNobody(args ...string) result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	cmd := r.command(ctx, "jailsetup", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return r.finish(cmd)
}

// blackHole is a tmcd whose host takes no packets: a listener with a full
// backlog that nobody accepts from.
func blackHole(r *rig) result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer unix.Close(fd)
	// Connections to the tmcd that an earlier test had there may linger.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: tmcdPort, Addr: r.host.As4()}); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		r.t.Fatal(err)
	}
	for range 2 {
		d := net.Dialer{Timeout: 200 * time.Millisecond}
		if c, err := d.Dial("tcp", netip.AddrPortFrom(r.host, tmcdPort).String()); err == nil {
			defer c.Close()
		}
	}
	return boots(r)
}

// otherCA gives the host certificates that tmcd's CA hasn't made.
func otherCA(r *rig) result {
	other := r.path("other")
	if out := r.run("tmcd-mock", "pki", other, "--server-ip", r.host.String()); out.code != 0 {
		r.t.Fatal(out.err())
	}
	right := certificates(r.t, r.host)
	r.edit("site.yaml", right, other)
	r.startServe()
	r.startMock()
	return boots(r)
}

func brokenCertificate(r *rig) result {
	dir := r.path("broken")
	if err := os.Mkdir(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"client.pem", "emulab.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no certificate\n"), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.edit("site.yaml", certificates(r.t, r.host), dir)
	return boots(r)
}

func prefixTaken(r *rig) result {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		r.t.Fatal(err)
	}
	_, dst, _ := net.ParseCIDR("172.20.0.0/16")
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		r.t.Fatal(err)
	}
	defer netlink.RouteDel(route)
	return boots(r)
}

func portTaken(r *rig) result {
	at := netip.AddrPortFrom(r.host, tmcdPort).String()
	l, err := net.Listen("tcp", at)
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	return r.run("tmcd-mock", "serve", "--testbed", r.path("testbed.yaml"), "--manage", r.path("mock"), "--listen", at)
}

// hidden runs a boot in a mount namespace in which the script has taken
// something away from the host.
func (r *rig) hidden(script string) result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", "mount --make-rprivate /\n"+script+`
exec "$0" "$@"`, program("jailsetup"), "--site", r.path("site.yaml"), "boot", r.vnodes[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return r.finish(cmd)
}

func noMkfs(r *rig) result {
	work := r.path("overlay")
	return r.hidden(fmt.Sprintf(`mkdir %[1]s
mount -t tmpfs none %[1]s
mkdir %[1]s/up %[1]s/work
mount -t overlay -o lowerdir=/usr/sbin,upperdir=%[1]s/up,workdir=%[1]s/work none /usr/sbin
rm /usr/sbin/mkfs.ext4`, work))
}

func noCgroup(r *rig) result {
	return r.hidden(`awk '$9 == "cgroup2" || $0 ~ / - cgroup2 / {print $5}' /proc/self/mountinfo | while read -r at; do umount "$at"; done`)
}

// without boots with a programs directory that lacks one.
func (r *rig) without(name string) result {
	r.t.Helper()
	dir := r.path("programs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	for _, other := range []string{"injail", "injail-rc", "jailspawn", "tmcc"} {
		if other == name {
			continue
		}
		if err := os.Link(program(other), filepath.Join(dir, other)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.edit("site.yaml", "programs: "+filepath.Join(runDir(), "bin"), "programs: "+dir)
	return boots(r)
}

// removeSpare takes the disk away that was made ahead: the next boot makes its
// own.
func (r *rig) removeSpare() {
	r.t.Helper()
	r.await("a disk made ahead", func() error {
		made, err := filepath.Glob(filepath.Join(r.state(), ".templates", "spare", "*.img"))
		if err == nil && len(made) != 1 {
			err = fmt.Errorf("there are %d", len(made))
		}
		if err == nil {
			err = os.Remove(made[0])
		}
		return err
	})
}

// noTemplate is room for a supervisor, not for a template.
const noTemplate = 2 << 20

// fullDisk boots on a disk that has so much left, after the supervisor has
// started.
func (r *rig) fullDisk(left int64) result {
	r.t.Helper()
	if err := os.RemoveAll(r.state()); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Mkdir(r.state(), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("none", r.state(), "tmpfs", 0, "size=64m,mode=700"); err != nil {
		r.t.Fatal(err)
	}
	r.diskMounted = true
	r.edit("site.yaml", "limits:", "overcommit: true\nlimits:") // else the boot is refused in time
	r.startServe()
	r.startMock()
	if left != noTemplate {
		r.must("boot", r.vnodes[1])
		r.must("kill", r.vnodes[1])
		r.removeSpare()
	}
	var st unix.Statfs_t
	if err := unix.Statfs(r.state(), &st); err != nil {
		r.t.Fatal(err)
	}
	filler := make([]byte, max(0, int64(st.Bavail)*st.Bsize-left))
	if err := os.WriteFile(filepath.Join(r.state(), "filler"), filler, 0o600); err != nil {
		r.t.Fatal(err)
	}
	out := boots(r)
	r.noJailLeft()
	if err := os.Remove(filepath.Join(r.state(), "filler")); err != nil {
		r.t.Error(err)
	}
	return out
}
