//go:build linux && privileged

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// refused are the words of the kernel that all mean no.
var refused = []string{"EPERM", "EACCES", "ENOSYS"}

// callWant says what comes of a call inside, by the row that asks for it. A
// name that ends with a colon stands for all that begin so.
type callWant struct {
	row, call string
	want      []string
}

var callWants = []callWant{
	{"S5", "sethostname", refused},
	{"S5", "setdomainname", refused},
	{"S5", "write:kernel/hostname", []string{"EROFS"}},
	{"S17", "write:kernel/core_pattern", []string{"EROFS"}},
	{"S17", "write:sysrq-trigger", []string{"EROFS", "ENOENT"}},
	{"S17", "write:vm/overcommit", []string{"EROFS"}},
	{"S15", "write:usr/bin/true", []string{"EROFS"}},
	{"S15", "write:bin/sh", []string{"EROFS"}},
	{"S15", "create:usr", []string{"EROFS"}},
	{"S15", "chmod:usr/bin/true", []string{"EROFS"}},
	{"S15", "link:usr/bin/true", []string{"EXDEV"}},
	{"S15", "remount:usr", []string{"EPERM"}},
	{"S15", "setattr:usr", []string{"EPERM"}},
	{"S15", "setattr:usr-nodev", []string{"EPERM"}},
	{"S15", "bind:usr-then-write", []string{"EROFS"}},
	{"T2", "write:injail", []string{"EROFS", "ETXTBSY"}},
	{"T2", "write:exe", []string{"EROFS", "ETXTBSY", "EACCES"}},
	{"S27", "write:tmcc-socket-dir", []string{"EROFS"}},
	{"S27", "unlink:tmcc", []string{"EROFS"}},
	{"S27", "write:jail.conf", []string{"EROFS"}},
	{"S16", "mknod:", refused},
	{"S14", "tmpfs:mount-and-unmount", []string{"ok"}},
	{"S14", "umount:", []string{"EINVAL", "EPERM"}},
	{"S14", "umount-lazy:", []string{"EINVAL", "EPERM"}},
	{"S17", "open:", append([]string{"ENOENT"}, refused...)},
	{"S17", "read:", append([]string{"ENOENT", "empty"}, refused...)},
	{"S17", "iopl", refused},
	{"S17", "ioperm", refused},
	{"S26", "settimeofday", refused},
	{"S26", "clock_settime", refused},
	{"S26", "adjtimex", refused},
	{"S26", "swapon", refused},
	{"S26", "quotactl", append([]string{"ENOENT", "ENOTBLK"}, refused...)},
	{"S26", "acct", refused},
	{"S26", "init_module", refused},
	{"S26", "finit_module", refused},
	{"S26", "delete_module", refused},
	{"S26", "kexec_load", refused},
	{"T15", "open_by_handle_at", refused},
	{"T15", "bpf", refused},
	{"T15", "perf_event_open", refused},
	{"T15", "userfaultfd", refused},
	{"T15", "keyctl:read", append([]string{"ENOKEY"}, refused...)},
	{"T15", "add_key", refused},
	{"T15", "syslog", refused},
	{"T15", "io_uring_setup", refused},
	{"T15", "socket:", append([]string{"EAFNOSUPPORT"}, refused...)},
	{"T14", "mount:", append([]string{"ENOENT", "ENODEV"}, refused...)},
	{"T14", "cgroup:", refused},
	{"S25", "chroot:escape", []string{"still inside"}},
	{"S25", "pivot_root", append([]string{"EINVAL"}, refused...)},
	{"S19", "setns:pid1-user", append([]string{"EINVAL"}, refused...)},
	{"S23", "nice:-5", refused},
	{"S23", "rlimit:nofile", refused},
	// Even exit is refused there, so the program runs on into nothing.
	{"S11", "32-bit:packet", append([]string{"killed: signal: segmentation fault"}, refused...)},
}

// TestWalls: what the jail's root can't do, on a pair of jails.
func TestWalls(t *testing.T) {
	p := newPair(t)
	t.Run("calls", p.calls)
	t.Run("S1 S28 S29 secrets", p.secrets)
	t.Run("S2 S30 T23 reach", p.reach)
	t.Run("S3 spoofing", p.spoofing)
	t.Run("S4 S7 S8 S18 sight", p.sight)
	t.Run("S6 addresses", p.addresses)
	t.Run("S13 System V IPC", p.objects)
	t.Run("S16 devices", p.devices)
	t.Run("S19 T11 ids", p.ids)
	t.Run("S22 disk", p.disk)
	t.Run("S23 processors", p.processorTime)
	t.Run("T1 descriptors", p.descriptors)
	t.Run("T5 environment", p.environment)
	t.Run("T6 capabilities", p.capabilities)
	t.Run("T10 others on the host", p.others)
	t.Run("T14 nesting", p.nesting)
	t.Run("T2 the host's programs are as before", p.programs)
	t.Run("S20 bounded end", p.end) // the last: it ends the first jail
}

// pair is two jails of an experiment, a and b, with the inside program in both.
type pair struct {
	*rig
	a, b    string
	inside  string
	secret  string // what no jail may hold
	sums    []string
	planted []string
}

const secretTestbed = `
rows:
  lans:
  - {lanid: 77, exptidx: 100, pid: jails, eid: demo, vname: secret, vidx: 77, type: tunnel}
  lan_members:
  - {lanid: 77, memberid: 1, node_id: @V1@}
  lan_member_attributes:
  - {lanid: 77, memberid: 1, attrkey: tunnel_secret, attrvalue: @SECRET@}
  node_attributes:
  - {node_id: pc1, attrkey: root_password, attrvalue: @SECRET@}
`

func newPair(t *testing.T) *pair {
	t.Helper()
	return newPairOf(t, testbed, "")
}

// newPairOf is a pair of another testbed, with more lines in the site file.
func newPairOf(t *testing.T, base, site string) *pair {
	t.Helper()
	p := &pair{secret: "emujail-e2e-" + runKey() + "-secret"}
	p.plant(t)
	p.rig = newRig(t, set{
		fresh: true, base: base, testbed: strings.ReplaceAll(secretTestbed, "@SECRET@", p.secret),
		site: "host_ports: [tcp/8001]\ntolerate: [vtun]\n" + site, leak: true,
	})
	p.a, p.b = p.vnodes[0], p.vnodes[1]
	p.boot(p.a)
	p.boot(p.b)
	p.inside = p.putInside(p.a, "inside")
	p.putInside(p.b, "inside")
	p.sums = p.hostSums()
	return p
}

// plant puts the secret where a careless builder would take it along.
func (p *pair) plant(t *testing.T) {
	t.Helper()
	name := "emujail-e2e-" + runKey()
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{
		{"/etc/" + name + ".pem", 0o644},
		{"/etc/ssh/" + name + "_key", 0o600},
		{"/root/." + name, 0o600},
		{"/usr/lib/" + name, 0o600},
		{"/usr/share/" + name + "/file", 0o600},
		{"/usr/local/etc/" + name + ".pem", 0o644},
		{"/opt/" + name + ".pem", 0o644},
		{"/var/tmp/" + name, 0o644},
	} {
		dir := filepath.Dir(f.path)
		if _, err := os.Stat(dir); err != nil {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(dir) })
		}
		if err := os.WriteFile(f.path, []byte(p.secret+"\n"), f.mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(f.path) })
		p.planted = append(p.planted, f.path)
	}
}

func (p *pair) calls(t *testing.T) {
	came := map[string][]string{} // by the call of callWants: name and outcome
	sc := bufio.NewScanner(strings.NewReader(p.enter(p.a, p.inside, "calls")))
	for sc.Scan() {
		name, _, _ := strings.Cut(sc.Text(), " ")
		i := slices.IndexFunc(callWants, func(w callWant) bool {
			return w.call == name || strings.HasSuffix(w.call, ":") && strings.HasPrefix(name, w.call)
		})
		if i < 0 {
			t.Errorf("no row says what comes of %s", sc.Text())
			continue
		}
		came[callWants[i].call] = append(came[callWants[i].call], sc.Text())
	}
	for row, wants := range byRow(callWants) {
		t.Run(row, func(t *testing.T) {
			for _, w := range wants {
				if len(came[w.call]) == 0 && w.call != "iopl" && w.call != "ioperm" && w.call != "32-bit:packet" {
					t.Errorf("%s was not tried", w.call)
				}
				for _, line := range came[w.call] {
					if name, got, _ := strings.Cut(line, " "); !slices.Contains(w.want, got) {
						t.Errorf("%s: %s, want one of %v", name, got, w.want)
					}
				}
			}
		})
	}
}

func byRow(wants []callWant) map[string][]callWant {
	all := map[string][]callWant{}
	for _, w := range wants {
		all[w.row] = append(all[w.row], w)
	}
	return all
}

func (p *pair) secrets(t *testing.T) {
	sibling := strings.TrimSpace(p.enter(p.b, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
	for _, v := range []string{p.a, p.b} {
		out := p.enter(v, p.inside, "find", p.secret, "name:*.pem", "name:emulab.pkey", "name:emulab.cdkey", "name:cvsup.auth", "name:.cvsup",
			"name:master.passwd", "name:id_rsa", "name:id_ed25519")
		if out != "" {
			t.Errorf("%s holds:\n%s", v, out)
		}
	}
	for _, path := range p.planted {
		if out := p.jailsetup("enter", p.a, "cat", path); out.code == 0 && out.stdout != "" {
			t.Errorf("%s is readable inside", path)
		}
	}
	own := strings.TrimSpace(p.enter(p.a, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
	host, _ := os.ReadFile("/etc/ssh/ssh_host_ed25519_key.pub")
	if own == "" || own == sibling || own == strings.TrimSpace(string(host)) {
		t.Errorf("ssh host keys are shared: %q, %q", own, sibling)
	}
	if out := p.enter(p.a, "tmcc", "tunnels"); strings.TrimSpace(out) != "" {
		t.Errorf("tmcc tunnels says %q", out)
	}
	// The host is told: else there was nothing to find.
	asked := p.run("tmcc", "-i", "-s", p.host.String(), "-p", fmt.Sprint(tmcdPort), "-n", p.a, "tunnels")
	if !strings.Contains(asked.stdout, p.secret) {
		t.Errorf("the host isn't told the secret: %q (%v)", asked.stdout, asked.err())
	}
}

func (p *pair) reach(t *testing.T) {
	stop := p.listenOn(t, "8001", "8002")
	defer stop()
	host := p.host.String()
	gateway := p.control.Gateway.String()
	for _, c := range []struct {
		network, addr, want string
	}{
		{"tcp", host + ":8001", "yes"}, // listed
		{"tcp", host + ":8002", "no"},
		{"tcp", host + ":7777", "no"},
		{"tcp", host + ":14447", "no"},
		{"udp", host + ":7777", "no"},
		{"udp", host + ":14447", "no"},
		{"tcp", gateway + ":7777", "no"},
		{"tcp", gateway + ":22", "no"},
		{"tcp", "127.0.0.1:8001", "no"},
		{"tcp", "127.0.0.1:7777", "no"},
		{"tcp", "[::1]:7777", "no"},
		{"tcp", "[::ffff:" + host + "]:7777", "no"},
		{"tcp", "169.254.169.254:80", "no"},
	} {
		got := strings.Fields(p.enter(p.a, p.inside, "connect", c.network, c.addr) + " ? ? ?")[2]
		if got != c.want {
			t.Errorf("%s %s answers: %s, want %s", c.network, c.addr, got, c.want)
		}
	}
	if got := p.enter(p.a, "tmcc", "status"); !strings.Contains(got, "node-a") {
		t.Errorf("tmcc status says %q", got)
	}
}

func (p *pair) spoofing(t *testing.T) {
	for _, request := range []string{
		"VNODEID=" + p.b + " status", "PROXYFOR=" + p.b + " status", "proxyfor=" + p.b + " status", "ProxyFor=" + p.b + " status",
		"PRIVKEY=0123456789abcdef PROXYFOR=" + p.b + " status", "IDKEY=x VNODEID=" + p.b + " status", "REDIRECT=" + p.host.String() + " VNODEID=" + p.b + " status",
		"PROXYFOR=" + p.b + " PROXYFOR=" + p.b + " status", "\tPROXYFOR=" + p.b + " status", "PROXYFOR=" + p.b + "\nstatus",
		"  PROXYFOR=" + p.b + "  status", "VERSION=40 VNODEID=" + p.b + " status", "status\nPROXYFOR=" + p.b + " status", "status\x00PROXYFOR=" + p.b + " status",
		"PROXYFOR=" + p.b + "\x00 status", "USEUDP=1 PROXYFOR=" + p.b + " VERSION=40 status",
	} {
		// Bytes that no command line carries come by standard input.
		got := p.askRaw(p.a, request)
		if strings.Contains(got, "node-b") {
			t.Errorf("%q is answered %q", request, got)
		}
	}
	if got := p.askRaw(p.a, "PROXYFOR="+p.b+" VERSION=40 status"); !strings.Contains(got, "node-a") {
		t.Errorf("a request with a foreign name is answered %q", got)
	}
}

func (p *pair) sight(t *testing.T) {
	if got := strings.Fields(p.enter(p.a, "ls", "/sys/class/net")); !slices.Equal(got, []string{"eth0", "eth1", "lo"}) {
		t.Errorf("S7: interfaces %v", got)
	}
	if got := p.enter(p.a, "sh", "-c", "find / -xdev -type s; find /run -type s"); strings.Contains(got, p.b) || !strings.Contains(got, "/run/emulab/tmcc") {
		t.Errorf("S4: sockets %q", got)
	}
	for line := range strings.Lines(p.enter(p.a, "cat", "/proc/net/unix")) {
		if strings.Contains(line, "@") || strings.Contains(line, p.b) || strings.Contains(line, "serve.sock") {
			t.Errorf("S4 S7: sees socket %s", strings.TrimSpace(line))
		}
	}
	// A process may end between the shell's look and cat's.
	comms := p.enter(p.a, "sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null; true")
	if !strings.Contains(comms, "injail") {
		t.Errorf("S18: doesn't see its own processes: %q", comms)
	}
	for line := range strings.Lines(comms) {
		if name := strings.TrimSpace(line); slices.Contains([]string{"jailsetup", "tmcd-mock", "e2e.test", "jailspawn"}, name) {
			t.Errorf("S18: sees process %s", name)
		}
	}
	if out := p.jailsetup("enter", p.a, "kill", "-0", fmt.Sprint(os.Getpid())); out.code == 0 {
		if got := p.enter(p.a, "cat", fmt.Sprintf("/proc/%d/comm", os.Getpid())); strings.HasPrefix(got, "e2e") {
			t.Error("S18: reaches a process of the host's")
		}
	}
	// S8: what listens on A's loop-back is heard in A only.
	p.enter(p.a, "sh", "-c", `setsid `+p.inside+` listen 127.0.0.1:7000 </dev/null >/dev/null 2>&1 &`)
	p.await("a listener", func() error {
		if out := p.enter(p.a, "cat", "/proc/net/tcp"); !strings.Contains(out, ":1B58 ") {
			return fmt.Errorf("not in %s", out)
		}
		return nil
	})
	if got := p.enter(p.b, p.inside, "connect", "tcp", "127.0.0.1:7000"); !strings.Contains(got, " no") {
		t.Errorf("S8: %s", got)
	}
	if got := p.enter(p.a, p.inside, "connect", "tcp", "127.0.0.1:7000"); !strings.Contains(got, " yes") {
		t.Errorf("S8: the listener isn't there: %s", got)
	}
}

func (p *pair) addresses(t *testing.T) {
	for _, addr := range []string{p.host.String(), p.control.Gateway.String(), p.address(p.b), "10.1.1.3", "8.8.8.8"} {
		for _, network := range []string{"tcp", "udp"} {
			got := strings.TrimSpace(p.enter(p.a, p.inside, "ports", network, addr+":8000", "1", "65535"))
			if got != "cannot assign requested address" {
				t.Errorf("%s %s: %s", network, addr, got)
			}
		}
	}
	if got := strings.TrimSpace(p.enter(p.a, p.inside, "ports", "tcp", p.address(p.a)+":8000", "1", "65535")); got != "ok" {
		t.Errorf("its own: %s", got)
	}
}

func (p *pair) address(vnode string) string {
	j, _ := p.info(vnode)
	return j.Address
}

// objects: what one jail makes by a key, another doesn't find by it, though both
// have SYSVIPC. Who is in the first's IPC namespace does.
func (p *pair) objects(t *testing.T) {
	const there, gone = "shm ok\nsem ok\nmsg ok\n", "shm ENOENT\nsem ENOENT\nmsg ENOENT\n"
	if got := p.enter(p.a, p.inside, "sysv", "make"); got != there {
		t.Fatalf("in the first: %q", got)
	}
	if got := p.enter(p.a, p.inside, "sysv", "find"); got != there {
		t.Errorf("the first finds %q", got)
	}
	if got := p.enter(p.b, p.inside, "sysv", "find"); got != gone {
		t.Errorf("another finds %q", got)
	}
	if got := p.run("inside", "sysv", "find").stdout; got != gone {
		t.Errorf("the host finds %q", got)
	}
	if got := p.unwalled(t, p.a, []string{"-i"}, program("inside"), "sysv", "find").stdout; got != there {
		t.Errorf("in the first's IPC namespace are found %q", got)
	}
}

func (p *pair) devices(t *testing.T) {
	got := strings.Fields(p.enter(p.a, "sh", "-c", "cd /dev; find . -type c -o -type b | sort"))
	want := []string{"./console", "./full", "./null", "./pts/ptmx", "./random", "./tty", "./urandom", "./zero"}
	if !slices.Equal(got, want) {
		t.Errorf("nodes %v", got)
	}
}

func (p *pair) ids(t *testing.T) {
	bases := map[string]bool{}
	for _, v := range []string{p.a, p.b} {
		j, _ := p.info(v)
		fields := strings.Fields(p.enter(v, "cat", "/proc/self/uid_map"))
		if len(fields) != 3 || fields[0] != "0" || fields[1] != fmt.Sprint(j.IDBase) || fields[2] != "65536" {
			t.Errorf("%s: uid_map %v, record %d", v, fields, j.IDBase)
		}
		bases[fields[1]] = true
	}
	if len(bases) != 2 {
		t.Error("two jails have one range")
	}
}

func (p *pair) disk(t *testing.T) {
	var before, after syscall.Statfs_t
	if err := syscall.Statfs(p.state(), &before); err != nil {
		t.Fatal(err)
	}
	out := p.jailsetup("enter", p.b, "sh", "-c", "dd if=/dev/zero of=/root/big bs=1M; rm /root/big")
	if !strings.Contains(out.stderr, "No space left on device") {
		t.Errorf("filling the disk says %q", out.stderr)
	}
	if err := syscall.Statfs(p.state(), &after); err != nil {
		t.Fatal(err)
	}
	const most = 256 << 20 // its 64 MiB, and what others on this machine write
	if used := int64(before.Bfree-after.Bfree) * before.Bsize; used > most {
		t.Errorf("the host's disk has %d MiB less", used>>20)
	}
}
