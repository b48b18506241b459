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

// builtPath is where the program under test lies while the tests run.
func builtPath() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("injail-test-%d", os.Getpid()))
}

var built = sync.OnceValues(func() (string, error) {
	path := builtPath()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build injail: %w\n%s", err, out)
	}
	if st, err := os.Stat(path); err != nil || st.Size() > 8<<20 {
		return "", fmt.Errorf("injail is larger than 8 MiB: %v, %w", st, err)
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
