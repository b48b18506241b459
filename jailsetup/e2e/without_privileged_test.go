//go:build linux && privileged

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWithoutWalls: the attacks of TestWalls again, each with the wall that it
// is about taken away: each succeeds. An attack that fails here would fail
// without any wall, and prove nothing there. What would harm the host if it
// succeeded is not tried.
func TestWithoutWalls(t *testing.T) {
	p := newPair(t)
	for _, row := range []struct {
		ids string
		try func(*testing.T)
	}{
		{"S1 S28 a secret on the disk", p.plantedSecret},
		{"S3 to tmcd itself", p.straightToTmcd},
		{"S4 another's socket", p.lentSocket},
		{"S5 S16 no user namespace", p.noUserNamespace},
		{"S6 foreign addresses", p.foreignAddresses},
		{"S7 S8 another's network", p.lentNetwork},
		{"S14 S15 a mount without its lock", p.unlockedMount},
		{"S16 devices on a mount", p.lentDevice},
		{"S17 S18 T9 the host's proc", p.lentProc},
		{"S19 ids that are the host's", p.mappedRoot},
		{"S22 T13 a directory of the host's", p.unboundedDisk},
		{"S23 limits lifted", p.limitsLifted},
		{"S23 processors shared", p.processorsShared},
		{"S25 chroot alone", p.chrootAlone},
		{"S26 T15 no user namespace, no filter", p.noFilter},
		{"S29 the host's usr", p.bareUsr},
		{"T1 T3 T4 a descriptor of the host's", p.leakedDescriptor},
		{"T2 programs lent to be written", p.writablePrograms},
		{"T5 a program that loads", p.dynamicHelper},
		{"T6 capabilities handed on", p.ambientCapability},
		{"T10 open directories", p.openDirectories},
		{"T11 the same ids", p.sameIDs},
		{"T14 nesting without a bound", p.nestingUnbounded},
		{"T45 a reader that follows links", p.followedLink},
		{"T50 a disk that is kept", p.keptDisk},
		{"S20 a signal for each process", p.signalled},
		{"S2 S30 no filters", p.noFilters}, // the last: it leaves the host without
	} {
		t.Run(row.ids, row.try)
	}
}

// asRoot runs the inside program in a's namespaces, but not its user namespace.
func (p *pair) asRoot(t *testing.T, words ...string) string {
	t.Helper()
	return p.unwalled(t, p.a, strings.Fields(allButUser), append([]string{p.inside}, words...)...).stdout
}

// came wants outcomes of calls that aren't refusals.
func came(t *testing.T, said string, calls ...string) {
	t.Helper()
	for _, name := range calls {
		i := slices.IndexFunc(strings.Split(said, "\n"), func(line string) bool { return strings.HasPrefix(line, name+" ") })
		if i < 0 {
			t.Errorf("%s was not tried: %q", name, said)
			continue
		}
		if got := strings.TrimPrefix(strings.Split(said, "\n")[i], name+" "); slices.Contains(append([]string{"EROFS", "empty"}, refused...), got) {
			t.Errorf("%s is refused without the wall too: %s", name, got)
		}
	}
}

func (p *pair) plantedSecret(t *testing.T) {
	p.enter(p.a, "sh", "-c", "echo "+p.secret+" >/var/tmp/left; touch /root/client.pem")
	defer p.enter(p.a, "rm", "/var/tmp/left", "/root/client.pem")
	if got := p.enter(p.a, p.inside, "find", p.secret, "name:*.pem"); !strings.Contains(got, "/var/tmp/left\n") || !strings.Contains(got, "/root/client.pem\n") {
		t.Errorf("found only %q", got)
	}
}

func (p *pair) straightToTmcd(t *testing.T) {
	out := p.run("tmcc", "-i", "-s", p.host.String(), "-p", fmt.Sprint(tmcdPort), "-n", p.b, "status")
	if !strings.Contains(out.stdout, "node-b") {
		t.Errorf("tmcd answers the host %q (%v)", out.stdout, out.err())
	}
}

func (p *pair) lentSocket(t *testing.T) {
	connect := func() string { return p.enter(p.a, p.inside, "connect", "unix", "/mnt/tmcc") }
	if got := connect(); !strings.HasSuffix(got, " no\n") {
		t.Errorf("before: %q", got)
	}
	p.attach(t, p.a, p.path("run/jails/"+p.b), "/mnt")
	defer p.detach(t, p.a, "/mnt")
	if got := connect(); !strings.HasSuffix(got, " yes\n") {
		t.Errorf("with the directory of %s shown: %q", p.b, got)
	}
}

func (p *pair) noUserNamespace(t *testing.T) {
	calls := []string{"sethostname", "setdomainname", "mknod:own-tmpfs"}
	came(t, p.asRoot(t, append([]string{"calls"}, calls...)...), calls...)
	if got := strings.TrimSpace(p.enter(p.a, "hostname")); got != "mallory" {
		t.Errorf("the host name is %q", got)
	}
}

func (p *pair) foreignAddresses(t *testing.T) {
	argv := []string{p.inside, "ports", "tcp", p.address(p.b) + ":8000", "1", "65535"}
	p.must("enter", p.a, "true")
	set := func(value string) {
		if out := p.unwalled(t, p.a, []string{"-n"}, "sysctl", "-qw", "net.ipv4.ip_nonlocal_bind="+value); out.code != 0 {
			t.Fatal(out.err())
		}
	}
	set("1")
	defer set("0")
	if got := strings.TrimSpace(p.enter(p.a, argv...)); got != "ok" {
		t.Errorf("binds a sibling's address: %s", got)
	}
}

func (p *pair) lentNetwork(t *testing.T) {
	p.enter(p.a, "sh", "-c", `setsid `+p.inside+` listen 127.0.0.1:7001 </dev/null >/dev/null 2>&1 &`)
	p.await("a listener", func() error {
		if got := p.enter(p.a, p.inside, "connect", "tcp", "127.0.0.1:7001"); !strings.Contains(got, " yes") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	words := []string{"-m", "-p", fmt.Sprintf("--net=/proc/%d/ns/net", p.firstPID(p.a))}
	if out := p.unwalled(t, p.b, words, p.inside, "connect", "tcp", "127.0.0.1:7001"); !strings.Contains(out.stdout, " yes") {
		t.Errorf("in its network its loop-back says %q %v", out.stdout, out.err())
	}
	out := p.unwalled(t, p.a, []string{"-m", "-p"}, "cat", "/proc/self/net/dev")
	if !strings.Contains(out.stdout, "emuctl0:") {
		t.Errorf("in the host's network it sees %q", out.stdout)
	}
}

// lend makes a directory of the host's with a file of root's in it.
func (p *pair) lend(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir, err := os.MkdirTemp(p.dir, "lent")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "file")
	for path, mode := range map[string]os.FileMode{dir: 0o755, file: 0o644} {
		if path == file {
			if err := os.WriteFile(file, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir, file
}

func (p *pair) unlockedMount(t *testing.T) {
	dir, file := p.lend(t, "host's\n")
	p.attachMapped(t, p.a, dir, "/mnt", unix.MOUNT_ATTR_RDONLY)
	if out := p.jailsetup("enter", "-T", p.a, "sh", "-c", "echo x >/mnt/file"); out.code == 0 {
		t.Error("a read-only mount is written")
	}
	p.enter(p.a, "sh", "-c", "mount -o remount,bind,rw /mnt && echo jail >/mnt/file")
	if got, _ := os.ReadFile(file); string(got) != "jail\n" {
		t.Errorf("the host's file says %q", got)
	}
	came(t, p.enter(p.a, p.inside, "calls", "umount:/mnt"), "umount:/mnt")
}

func (p *pair) lentDevice(t *testing.T) {
	dir, _ := p.lend(t, "")
	node := filepath.Join(dir, "zero")
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(node, 0o666); err != nil {
		t.Fatal(err)
	}
	read := func() int { return p.jailsetup("enter", "-T", p.a, "head", "-c", "1", "/mnt/zero").code }
	p.attachMapped(t, p.a, dir, "/mnt", unix.MOUNT_ATTR_NODEV)
	if read() == 0 {
		t.Error("a device on a nodev mount is read")
	}
	p.detach(t, p.a, "/mnt")
	p.attach(t, p.a, dir, "/mnt")
	defer p.detach(t, p.a, "/mnt")
	if read() != 0 {
		t.Error("a device on a mount without nodev isn't read")
	}
}

func (p *pair) lentProc(t *testing.T) {
	script := "cat /mnt/*/comm 2>/dev/null | grep -c jailsetup; head -c 1 /mnt/kallsyms | wc -c; stat -c %F /mnt/kallsyms"
	p.attach(t, p.a, "/proc", "/mnt")
	defer p.detach(t, p.a, "/mnt")
	got := strings.Split(p.enter(p.a, "sh", "-c", script), "\n")
	if len(got) < 3 || got[0] == "0" || got[1] != "1" || !strings.HasPrefix(got[2], "regular") {
		t.Errorf("in the host's proc: processes, bytes, kind: %q", got)
	}
	if got := p.enter(p.a, "sh", "-c", strings.ReplaceAll(script, "/mnt/", "/proc/")); got != "0\n0\ncharacter special file\n" {
		t.Errorf("in its own: %q", got)
	}
}

func (p *pair) mappedRoot(t *testing.T) {
	dir, file := p.lend(t, "host's\n")
	write := func() int { return p.jailsetup("enter", "-T", p.a, "sh", "-c", "echo jail >/mnt/file").code }
	p.attach(t, p.a, dir, "/mnt")
	if got, _ := os.ReadFile(file); write() == 0 || string(got) != "host's\n" {
		t.Errorf("a file of the host's root is written: %q", got)
	}
	p.detach(t, p.a, "/mnt")
	p.attachMapped(t, p.a, dir, "/mnt", 0)
	defer p.detach(t, p.a, "/mnt")
	if code := write(); code != 0 {
		t.Errorf("mapped to the jail's root it isn't: exit code %d", code)
	}
	if got, _ := os.ReadFile(file); string(got) != "jail\n" {
		t.Errorf("the host's file says %q", got)
	}
}

func (p *pair) unboundedDisk(t *testing.T) {
	dir, _ := p.lend(t, "")
	p.attachMapped(t, p.a, dir, "/mnt", 0)
	defer p.detach(t, p.a, "/mnt")
	const mib = 80 // its own disk has 64
	for path, full := range map[string]bool{"/mnt/big": false, "/root/big": true, "/local/big": true, "/local/logs/big": true} {
		out := p.jailsetup("enter", "-T", p.a, "sh", "-c", fmt.Sprintf("mkdir -p /local; dd if=/dev/zero of=%s bs=1M count=%d; s=$?; rm %s; exit $s", path, mib, path))
		if (out.code != 0) != full {
			t.Errorf("%d MiB in %s: exit code %d: %s", mib, path, out.code, out.stderr)
		}
	}
}

func (p *pair) chrootAlone(t *testing.T) {
	dir, _ := p.lend(t, "")
	if err := os.MkdirAll(filepath.Join(dir, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", program("inside"), filepath.Join(dir, "root/inside")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("/root/inside", "escape")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "somewhere else") {
		t.Errorf("a chroot isn't escaped: %s (%v)", out, err)
	}
}

func (p *pair) noFilter(t *testing.T) {
	clock := []string{"adjtimex", "swapon", "acct"}
	came(t, p.asRoot(t, append([]string{"calls"}, clock...)...), clock...)
	// Not add_key: the key would stay in the keyring of whoever runs the tests.
	calls := []string{"open_by_handle_at", "bpf", "perf_event_open", "userfaultfd", "keyctl:read", "syslog", "io_uring_setup", "socket:vsock", "socket:alg"}
	said := p.asRoot(t, append([]string{"calls"}, calls...)...)
	t.Logf("%s", said)
	came(t, said, calls...)
}

func (p *pair) bareUsr(t *testing.T) {
	p.attachMapped(t, p.a, "/usr", "/mnt", unix.MOUNT_ATTR_RDONLY)
	defer p.detach(t, p.a, "/mnt")
	if got := p.enter(p.a, "cat", "/mnt/lib/emujail-e2e-"+runKey()); strings.TrimSpace(got) != p.secret {
		t.Errorf("without masks the file says %q", got)
	}
}
