//go:build linux && privileged

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// attachMapped shows a directory of the host's in the jail, its ids mapped so
// that the host's root is the jail's.
func (r *rig) attachMapped(t *testing.T, vnode, source, target string, attr uint64) {
	t.Helper()
	user, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", r.firstPID(vnode)))
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	a := unix.MountAttr{Attr_set: attr | unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(user.Fd())}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &a); err != nil {
		t.Fatal(err)
	}
	r.inMounts(t, vnode, func() error { return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH) })
}

// limitsLifted: a jail takes no more processes and memory than it may, and does
// as soon as it may.
func (p *pair) limitsLifted(t *testing.T) {
	count := func() int {
		n, err := strconv.Atoi(strings.TrimSpace(p.enter(p.b, p.inside, "spawn", "600")))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const memory = "head -c 700M /dev/zero | tail -c 700M | wc -c"
	held := func() string { return p.enter(p.b, "sh", "-c", memory) }
	if n := count(); n >= 512 {
		t.Errorf("%d processes at a limit of 512", n)
	}
	if got := held(); strings.TrimSpace(got) == fmt.Sprint(700<<20) {
		t.Error("700 MiB at a limit of 512 MiB")
	}
	p.setPIDs(t, p.b, "max")
	p.setMemory(t, p.b, "4G")
	if n := count(); n != 600 {
		t.Errorf("%d processes without a limit", n)
	}
	if got := held(); strings.TrimSpace(got) != fmt.Sprint(700<<20) {
		t.Errorf("without a limit of memory: %q", got)
	}
	p.setPIDs(t, p.b, "512")
	p.setMemory(t, p.b, "512M")
}

// setMemory sets the jail's limit of memory, wherever the host has it.
func (r *rig) setMemory(t *testing.T, vnode, most string) {
	t.Helper()
	v1 := filepath.Join("/sys/fs/cgroup/memory/emulab", vnode)
	// With swap it may never be less.
	if err := os.WriteFile(filepath.Join(v1, "memory.memsw.limit_in_bytes"), []byte("-1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(v1, "memory.limit_in_bytes"), filepath.Join(cgroupDir(vnode), "memory.max")} {
		if _, err := os.Stat(path); err == nil {
			if err := os.WriteFile(path, []byte(most), 0); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the jail has no limit of memory")
}

// leakedDescriptor: a helper of the kind that joins a jail's namespaces brings
// a directory of the host's along, and is robbed. One that enter starts isn't.
func (p *pair) leakedDescriptor(t *testing.T) {
	const marker = "marker-of-the-host"
	path, file := p.lend(t, "")
	if err := os.Rename(file, filepath.Join(path, marker)); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	rob := func() string { return p.enter(p.a, p.inside, "rob", "2", marker) }
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				cmd := exec.Command(program("jailsetup"), "--site", p.path("site.yaml"), "enter", "-T", p.a, "true")
				cmd.ExtraFiles = []*os.File{dir}
				_ = cmd.Run()
			}
		}
	}()
	got := rob()
	close(stop)
	<-ended
	if !strings.HasPrefix(got, "nothing in ") {
		t.Errorf("with enter: %s", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	argv := append([]string{"-t", fmt.Sprint(p.firstPID(p.a)), "-U"}, strings.Fields(allButUser)...)
	helper := exec.CommandContext(ctx, "nsenter", append(argv, "--", "sh", "-c", "cd /proc/self/fd/3 && test -e "+marker+" && echo outside; sleep 30")...)
	helper.ExtraFiles = []*os.File{dir}
	helper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := helper.StdoutPipe()
	if err == nil {
		err = helper.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-helper.Process.Pid, syscall.SIGKILL)
		_ = helper.Wait()
	}()
	said := make([]byte, 16)
	if n, err := out.Read(said); err != nil || string(said[:n]) != "outside\n" {
		t.Errorf("T3: a directory by a descriptor of the host's: %q, %v", said[:n], err)
	}
	if got := rob(); !strings.HasPrefix(got, "found ") {
		t.Errorf("T1 T4: a helper with a descriptor: %s", got)
	}
}

func (p *pair) writablePrograms(t *testing.T) {
	open := func(dir string) int {
		return p.jailsetup("enter", "-T", p.a, "dd", "if=/dev/null", "of="+dir+"/tmcc", "conv=notrunc").code
	}
	if open("/run/emulab/bin") == 0 {
		t.Error("a program of the host's is opened for writing")
	}
	shown, err := filepath.Glob(filepath.Join(p.state(), ".programs", "*", "tmcc"))
	if err != nil || len(shown) == 0 {
		t.Fatalf("no programs are shown: %v", err)
	}
	dir, _ := p.lend(t, "")
	if out, err := exec.Command("cp", "-p", shown[0], dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.attachMapped(t, p.a, dir, "/mnt", 0)
	defer p.detach(t, p.a, "/mnt")
	if code := open("/mnt"); code != 0 {
		t.Errorf("one that is lent writable is not: exit code %d", code)
	}
}

func (p *pair) dynamicHelper(t *testing.T) {
	out := p.unwalled(t, p.a, []string{"-m", "-p"}, "env", "LD_PRELOAD=/root/mallory.so", "/bin/true")
	if !strings.Contains(out.stderr, "/root/mallory.so") {
		t.Errorf("a dynamic program in the jail doesn't look there: %q", out.stderr)
	}
}

func (p *pair) ambientCapability(t *testing.T) {
	out := p.unwalled(t, p.a, append([]string{"-U"}, strings.Fields(allButUser)...), "setpriv", "--inh-caps", "+net_raw", "--ambient-caps", "+net_raw",
		"grep", "Cap[IA]", "/proc/self/status")
	if strings.Count(out.stdout, "0000000000002000") != 2 {
		t.Errorf("%q %v", out.stdout, out.err())
	}
}

func (p *pair) openDirectories(t *testing.T) {
	dirs := []string{p.dir, p.state(), filepath.Join(p.state(), p.a)}
	read := func() error {
		cmd := exec.Command("/bin/ls", filepath.Join(p.state(), p.a))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return cmd.Run()
	}
	if read() == nil {
		t.Error("nobody lists a jail's directory")
	}
	for _, dir := range dirs {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
	}
	if err := read(); err != nil {
		t.Errorf("with open directories: %v", err)
	}
}

// sameIDs: with the ids of b one reads nothing of a's root, with a's own all.
func (p *pair) sameIDs(t *testing.T) {
	p.enter(p.a, "sh", "-c", "echo a >/root/private; chmod 600 /root/private")
	as := func(vnode string) int {
		ids := fmt.Sprintf("--user=/proc/%d/ns/user", p.firstPID(vnode))
		return p.unwalled(t, p.a, []string{ids, "-m", "-S", "0", "-G", "0"}, "cat", "/root/private").code
	}
	if as(p.b) == 0 {
		t.Error("another jail's root reads it")
	}
	if code := as(p.a); code != 0 {
		t.Errorf("its own doesn't: exit code %d", code)
	}
}

func (p *pair) nestingUnbounded(t *testing.T) {
	set := func(most string) {
		out := p.unwalled(t, p.b, append([]string{"-U"}, strings.Fields("-n -p")...), "sh", "-c", "echo "+most+" >/proc/sys/user/max_user_namespaces")
		if out.code != 0 {
			t.Fatal(out.err())
		}
	}
	// A new proc can't be mounted where one is masked; where none is, it can.
	if out, err := exec.Command("unshare", "-Urmpf", "sh", "-c", "mount -t proc none /mnt && echo mounted").CombinedOutput(); string(out) != "mounted\n" {
		t.Errorf("without masks: %s, %v", out, err)
	}
	set("100")
	defer set("4")
	got := strings.Fields(p.enter(p.b, p.inside, "nest"))
	if len(got) != 2 || got[0] == "4" {
		t.Errorf("nested user namespaces: %v", got)
	}
}

func (p *pair) followedLink(t *testing.T) {
	_, file := p.lend(t, "a secret of the host's\n")
	p.enter(p.a, "sh", "-c", "ln -sf "+file+" /var/emulab/logs/link.log")
	defer p.enter(p.a, "rm", "/var/emulab/logs/link.log")
	naive, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/var/emulab/logs/link.log", p.firstPID(p.a)))
	if err != nil || string(naive) != "a secret of the host's\n" {
		t.Errorf("a reader that follows links reads %q, %v", naive, err)
	}
	if out := p.jailsetup("logs", p.a, "link"); out.code == 0 || strings.Contains(out.stdout, "secret") {
		t.Errorf("logs: %q", out.stdout)
	}
}

func (p *pair) keptDisk(t *testing.T) {
	p.enter(p.a, "sh", "-c", "tmcc keyhash >/root/secret")
	if got := p.enter(p.a, "sh", "-c", "grep -rsl 5f4dcc3b5aa765d6 /root /var || :"); !strings.Contains(got, "/root/secret") {
		t.Errorf("the search finds only %q", got)
	}
}

// signalled: a signal for each process, without the cgroup's, ends what obeys
// it, and doesn't end what ignores it.
func (p *pair) signalled(t *testing.T) {
	p.enter(p.a, "sh", "-c", `setsid sh -c 'trap "" TERM HUP; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 & setsid sleep 997 </dev/null >/dev/null 2>&1 &`)
	running := func(words string) (pid int) {
		data, err := os.ReadFile(filepath.Join(cgroupDir(p.a), "cgroup.procs"))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(string(data)) {
			line, _ := os.ReadFile("/proc/" + word + "/cmdline")
			if strings.HasPrefix(string(line), words) {
				pid, _ = strconv.Atoi(word)
			}
		}
		return pid
	}
	const obeys, ignores = "sleep\x00997", "sh\x00-c\x00trap"
	p.await("both to run", func() error {
		if running(obeys) == 0 || running(ignores) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	for _, pid := range []int{running(ignores), running(obeys)} {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	p.await("the one that obeys to end", func() error {
		if pid := running(obeys); pid != 0 {
			return fmt.Errorf("it runs as %d", pid)
		}
		return nil
	})
	if running(ignores) == 0 {
		t.Error("the one that ignores the signal has ended, too")
	}
}

func (p *pair) noFilters(t *testing.T) {
	stop := p.listenOn(t, "8002")
	defer stop()
	p.dropTables(t)
	for _, addr := range []string{p.host.String() + ":8002", p.host.String() + ":7777"} {
		p.await(addr+" to answer", func() error {
			if got := p.enter(p.a, p.inside, "connect", "tcp", addr); !strings.HasSuffix(got, " yes\n") {
				return errors.New(got)
			}
			return nil
		})
	}
}
