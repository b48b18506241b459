//go:build linux && privileged

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
	"emujail/jailsetup/injail/etcfiles"
	"emujail/jailsetup/injail/stage0"
)

// deadline bounds every wait of these tests.
const deadline = 20 * time.Second

// rig is a small jail around the real injail: real namespaces and mounts, a
// root in memory, the host's /usr read-only. It is built in the order of
// spec/linux.md §2.2, with the test in the place of jailspawn.
type rig struct {
	t        *testing.T
	host     string // what the jail sees as /run/emulab
	cmd      *exec.Cmd
	output   *os.File // what PID 1 writes to its standard output and error
	consoles *net.UnixListener
	ended    chan struct{}
	state    *os.ProcessState
}

// setup is what a test may want to have different.
type setup struct {
	rc       string            // /etc/rc; empty: one that does nothing
	argv     []string          // of PID 1; empty: injail alone
	files    map[string]string // below /, after everything else
	message  stage0.Message    // Go, Argv and Env are filled in
	conf     string            // appended to jail.conf
	leak     []*os.File        // inherited by stage 0 as 4, 5, …
	onThread func() error      // on the thread that starts stage 0, before it does
	maxUser  string            // -max-user-ns
}

// boot builds a rig and waits until PID 1 runs.
func boot(t *testing.T, s setup) *rig {
	t.Helper()
	r, err := tryBoot(t, s)
	if err != nil {
		t.Fatalf("boot: %v", err)
	}
	return r
}

func tryBoot(t *testing.T, s setup) (*rig, error) {
	t.Helper()
	r := &rig{t: t, host: t.TempDir(), ended: make(chan struct{})}
	if err := r.prepareHost(s); err != nil {
		t.Fatal(err)
	}
	failure := make(chan error, 1)
	go onOtherThread(func() { failure <- r.start(s) })
	err := <-failure
	if r.cmd != nil && r.cmd.Process != nil {
		go func() {
			r.cmd.Wait()
			r.state = r.cmd.ProcessState
			close(r.ended)
		}()
		t.Cleanup(func() {
			r.cmd.Process.Kill()
			<-r.ended
		})
	}
	return r, err
}

// onOtherThread runs f on a thread that ends with it, and with it the
// namespaces that f took. The main thread would never end.
func onOtherThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			onOtherThread(f)
		}()
		<-done
		runtime.UnlockOSThread()
		return
	}
	f()
}

// prepareHost fills the directory that becomes /run/emulab.
func (r *rig) prepareHost(s setup) error {
	bin := filepath.Join(r.host, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(r.host, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for from, to := range map[string]string{injail(r.t): "injail", self: "probe"} {
		if out, err := exec.Command("cp", from, filepath.Join(bin, to)).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	conf := "VNODEID=\"pcvm1-1\"\nHOSTNAME=\"a.e.p.example.org\"\nSSHDPORT=\"2222\"\nJAILIP=\"10.0.0.7\"\nGRACE=\"0.5\"\nBOOTSERIAL=\"7\"\n" + s.conf
	if err := os.WriteFile(filepath.Join(r.host, "jail.conf"), []byte(conf), 0o644); err != nil {
		return err
	}
	r.consoles, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(r.host, "console"), Net: "unix"})
	if err == nil {
		r.t.Cleanup(func() { r.consoles.Close() })
	}
	return err
}

// injail builds the program under test, once.
func injail(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("injail-test-%d", os.Getpid()))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build injail: %w\n%s", err, out)
	}
	return path, nil
})

// start does what jailspawn does, on a thread of its own.
func (r *rig) start(s setup) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("a.e.p.example.org")); err != nil {
		return err
	}
	if s.onThread != nil {
		if err := s.onThread(); err != nil {
			return err
		}
	}
	ours, err := r.startStage0(s)
	if err != nil {
		return err
	}
	defer ours.Close()
	pidns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", r.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer pidns.Close()
	if err := r.buildRoot(s, pidns); err != nil {
		return fmt.Errorf("build root: %w", err)
	}
	return letGo(ours, s)
}

// startStage0 starts it in new user, pid and net namespaces, and returns our
// end of its socket.
func (r *rig) startStage0(s setup) (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	r.output = read
	r.t.Cleanup(func() { read.Close() })
	args := []string{"stage0"}
	if s.maxUser != "" {
		args = append(args, "-max-user-ns", s.maxUser)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	r.cmd = exec.Command(injail(r.t), args...)
	r.cmd.Stdout, r.cmd.Stderr = write, write
	r.cmd.ExtraFiles = append([]*os.File{theirs}, s.leak...)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential:  &syscall.Credential{},
		AmbientCaps: nil,
	}
	return ours, r.cmd.Start()
}

func letGo(ours *os.File, s setup) error {
	m := s.message
	m.Go = true
	m.Argv = append([]string{"/run/emulab/bin/injail"}, s.argv...)
	m.Env = []string{"TMCCVNODEID=pcvm1-1", "PATH=/usr/sbin:/usr/bin"}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := ours.Write(b); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := ours.Read(answer)
	if err == nil && string(answer[:n]) == `{"ready":true}` { // said before the go, or before the failure
		n, err = ours.Read(answer)
	}
	if n > 0 {
		return errors.New(string(answer[:n]))
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// buildRoot mounts the jail's tree and pivots into it; stage 0 comes along.
func (r *rig) buildRoot(s setup, pidns *os.File) error {
	root, err := os.MkdirTemp("", "injail-root") // unmounted with the thread
	if err != nil {
		return err
	}
	r.t.Cleanup(func() { os.Remove(root) })
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "mode=0755,size=64m"); err != nil {
		return err
	}
	for _, d := range []string{"usr", "etc/ssh", "var/log", "var/spool/cron/crontabs", "run", "tmp", "dev", "proc", "root", "home/ann", "old"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	if err := r.mountAll(root, pidns); err != nil {
		return err
	}
	if err := fillEtc(root, s); err != nil {
		return err
	}
	return pivot(root)
}

func (r *rig) mountAll(root string, pidns *os.File) error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"/usr", "usr", "", unix.MS_BIND | unix.MS_REC, ""},
		{"", "usr", "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NODEV, ""},
		{"tmpfs", "usr/local", "tmpfs", 0, "mode=0755"},
		{"tmpfs", "run", "tmpfs", 0, "mode=0755"},
		{"tmpfs", "dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
	} {
		if err := unix.Mount(m.source, filepath.Join(root, m.target), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := makeDev(filepath.Join(root, "dev")); err != nil {
		return err
	}
	given := filepath.Join(root, "run/emulab")
	if err := os.Mkdir(given, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(r.host, given, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("", given, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return err
	}
	return mountProc(filepath.Join(root, "proc"), pidns)
}

func makeDev(dev string) error {
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "urandom": 9, "random": 8} {
		if err := unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dev, name), 0o666); err != nil {
			return err
		}
	}
	if err := unix.Mknod(filepath.Join(dev, "tty"), unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))); err != nil {
		return err
	}
	for to, from := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(from, filepath.Join(dev, to)); err != nil {
			return err
		}
	}
	pts := filepath.Join(dev, "pts")
	if err := os.Mkdir(pts, 0o755); err != nil {
		return err
	}
	return unix.Mount("devpts", pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
}

// mountProc mounts the proc of another pid namespace (Linux 6.17).
func mountProc(target string, pidns *os.File) error {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetFd(fs, "pidns", int(pidns.Fd())); err != nil {
		return fmt.Errorf("proc pidns=: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return err
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	return unix.MoveMount(mnt, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// fillEtc writes /etc: what comes from the host by the allow-list, then ours,
// then the test's own.
func fillEtc(root string, s setup) error {
	script := `set -e; cd /etc
for f in pam.d pam.conf security login.defs ld.so.cache alternatives default shells services protocols localtime profile bash.bashrc ssh/moduli; do
	if [ -e $f ]; then cp -a --parents $f "$0/etc"; fi
done
mkdir -p "$0/usr/local/sbin" "$0/usr/local/bin"
for w in reboot halt poweroff shutdown; do ln -s /run/emulab/bin/injail "$0/usr/local/sbin/$w"; done
chmod 1777 "$0/tmp"; chown 1000:1000 "$0/home/ann"`
	if out, err := exec.Command("sh", "-c", script, root).CombinedOutput(); err != nil {
		return fmt.Errorf("copy /etc: %w: %s", err, out)
	}
	for _, f := range etcfiles.Files() {
		if err := os.WriteFile(root+f.Path, f.Data, f.Mode); err != nil {
			return err
		}
	}
	own := map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
		"/etc/group":  "root:x:0:\ntty:x:5:\nutmp:x:43:\ncrontab:x:101:\nteam:x:2000:bob,ann\nann:x:1000:\nnogroup:x:65534:\n",
		"/etc/shadow": "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\nann:*:19000:0:99999:7:::\n",
	}
	if s.rc != "-" { // "-": the real one
		own["/etc/rc"] = "#!/bin/sh\n" + s.rc + "\n"
	}
	for path, text := range s.files {
		own[path] = text
	}
	for path, text := range own {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(root+path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(root+"/etc/shadow", 0o600)
}

func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

// enter asks the jail for a session and returns its connection.
func (r *rig) enter(s console.Start) *net.UnixConn {
	r.t.Helper()
	r.consoles.SetDeadline(time.Now().Add(deadline))
	c, err := r.consoles.AcceptUnix()
	if err != nil {
		r.t.Fatalf("injail doesn't dial the console: %v\n%s", err, r.drainOutput())
	}
	c.SetDeadline(time.Now().Add(deadline))
	r.t.Cleanup(func() { c.Close() })
	hello, err := console.ReadFrame(c)
	var h console.Hello
	if err == nil {
		err = console.Decode(hello, console.TypeHello, &h)
	}
	if err != nil || h.Boot != 7 {
		r.t.Fatalf("HELLO = %+v, %v; want boot 7", h, err)
	}
	send(r.t, c, console.TypeStart, s)
	return c
}

func send(t *testing.T, w io.Writer, kind console.Type, v any) {
	t.Helper()
	f, err := console.Encode(kind, v)
	if err == nil {
		err = console.WriteFrame(w, f)
	}
	if err != nil {
		t.Fatalf("send %v: %v", kind, err)
	}
}

// result is what a session gave back.
type result struct {
	out, err string
	exit     console.Exit
}

// collect reads a session to its end.
func collect(t *testing.T, c io.Reader) result {
	t.Helper()
	var res result
	for {
		f, err := console.ReadFrame(c)
		if err != nil {
			t.Fatalf("session broke off: %v, after %q %q", err, res.out, res.err)
		}
		switch f.Type {
		case console.TypeStdout:
			res.out += string(f.Payload)
		case console.TypeStderr:
			res.err += string(f.Payload)
		case console.TypeExit:
			if err := console.Decode(f, f.Type, &res.exit); err != nil {
				t.Fatal(err)
			}
			return res
		default:
			t.Fatalf("unexpected %v", f.Type)
		}
	}
}

// sh runs a shell command inside as root and returns what it printed; it must
// succeed.
func (r *rig) sh(script string) string {
	r.t.Helper()
	res := collect(r.t, r.enter(console.Start{Argv: []string{"/bin/sh", "-c", script}}))
	if res.exit.Code != 0 || res.exit.Error != "" {
		r.t.Fatalf("%s: exit %+v\n%s%s", script, res.exit, res.out, res.err)
	}
	return strings.TrimSpace(res.out)
}

// wait returns how PID 1 ended, which must be soon.
func (r *rig) wait(within time.Duration) syscall.WaitStatus {
	r.t.Helper()
	select {
	case <-r.ended:
		return r.state.Sys().(syscall.WaitStatus)
	case <-time.After(within):
		r.t.Fatalf("PID 1 still runs after %v", within)
		return 0
	}
}

// drainOutput is what PID 1 has written so far.
func (r *rig) drainOutput() string {
	r.output.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b, _ := io.ReadAll(r.output)
	return string(b)
}

// eventually polls until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within %v: %s", deadline, what)
}

// as runs a shell command inside as a user.
func (r *rig) as(user, script string) result {
	r.t.Helper()
	return collect(r.t, r.enter(console.Start{Argv: []string{"/bin/sh", "-c", script}, User: user}))
}
