//go:build linux && privileged

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/console"
)

func TestEnterRunsACommand(t *testing.T) {
	r := boot(t, setup{})
	tests := []struct {
		name  string
		start console.Start
		want  result
	}{
		{"both outputs", console.Start{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 5"}}, result{"out\n", "err\n", console.Exit{Code: 5}}},
		{"killed by a signal", console.Start{Argv: []string{"sh", "-c", "kill -TERM $$"}}, result{"", "", console.Exit{Code: 143}}},
		{"not found", console.Start{Argv: []string{"no-such"}}, result{"", "", console.Exit{Code: 127, Error: "no-such: command not found"}}},
		{"path not found", console.Start{Argv: []string{"/no/such"}}, result{"", "", console.Exit{Code: 127, Error: "run /no/such in /root as root: no such file or directory"}}},
		{"not executable", console.Start{Argv: []string{"/etc/passwd"}}, result{"", "", console.Exit{Code: 126, Error: "run /etc/passwd in /root as root: permission denied"}}},
		{"no such user", console.Start{User: "eve"}, result{"", "", console.Exit{Code: 125, Error: `no user "eve" in the jail's /etc/passwd`}}},
		{"who am I", console.Start{Argv: []string{"sh", "-c", `id -u; id -g; id -G; pwd; echo $HOME $USER $LOGNAME $SHELL $TERM; echo $PATH`}, User: "ann", Term: "xterm"},
			result{"1000\n1000\n1000 2000\n/home/ann\n/home/ann ann ann /bin/sh xterm\n/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games\n", "", console.Exit{}}},
		{"a number for a user", console.Start{Argv: []string{"id", "-u"}, User: "4711"}, result{"4711\n", "", console.Exit{}}},
		{"root's environment", console.Start{Argv: []string{"sh", "-c", "env | sort"}}, result{
			"HOME=/root\nLOGNAME=root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/root\nSHELL=/bin/sh\nTERM=dumb\nUSER=root\n", "", console.Exit{}}},
		{"directory", console.Start{Argv: []string{"pwd"}, Dir: "/usr"}, result{"/usr\n", "", console.Exit{}}},
		{"directory that isn't", console.Start{Argv: []string{"pwd"}, Dir: "/no"}, result{"", "", console.Exit{Code: 127, Error: "run pwd in /no as root: no such file or directory"}}},
		{"home that can't be entered", console.Start{Argv: []string{"pwd"}, User: "nobody"}, result{"/\n", "", console.Exit{}}},
		{"output of a child is not waited for", console.Start{Argv: []string{"sh", "-c", "(sleep 60; echo late) & echo done"}}, result{"done\n", "", console.Exit{}}},
		{"no capabilities but root's", console.Start{Argv: []string{"grep", "CapEff", "/proc/self/status"}, User: "ann"}, result{"CapEff:\t0000000000000000\n", "", console.Exit{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := collect(t, r.enter(tt.start)); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestEnterPassesInput(t *testing.T) {
	r := boot(t, setup{})
	c := r.enter(console.Start{Argv: []string{"sha256sum"}})
	chunk := bytes.Repeat([]byte("0123456789abcdef"), console.MaxPayload/16)
	for range 40 { // more than queue and pipe hold
		if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdin, Payload: chunk}); err != nil {
			t.Fatal(err)
		}
	}
	console.WriteFrame(c, console.Frame{Type: console.TypeStdin})
	if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdinEOF}); err != nil {
		t.Fatal(err)
	}
	got := collect(t, c)
	want := r.sh("yes 0123456789abcdef | tr -d '\\n' | head -c 2621440 | sha256sum")
	if strings.TrimSpace(got.out) != want {
		t.Errorf("sum of the input %q, want %q", got.out, want)
	}
}

// TestEnterPassesBulkOutput: nothing is lost to a host that is slower than the
// silence that ends a session, be the command still there or not.
func TestEnterPassesBulkOutput(t *testing.T) {
	r := boot(t, setup{})
	for _, size := range []int{250_000, 8_000_000} { // what the buffers on the way can hold, and more
		c := r.enter(console.Start{Argv: []string{"head", "-c", fmt.Sprint(size), "/dev/zero"}})
		until := time.Now().Add(300 * time.Millisecond)
		eventually(t, "time passes", func() bool { return time.Now().After(until) })
		if got := collect(t, c); len(got.out) != size || got.exit.Code != 0 {
			t.Errorf("%d bytes of %d, exit %+v", len(got.out), size, got.exit)
		}
	}
}

func TestEnterOnATerminal(t *testing.T) {
	r := boot(t, setup{})
	c := r.enter(console.Start{TTY: true, Rows: 33, Cols: 99, User: "ann", Term: "vt100"})
	input := func(s string) {
		t.Helper()
		if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdin, Payload: []byte(s)}); err != nil {
			t.Fatal(err)
		}
	}
	screen := &screen{t: t, c: c}
	screen.until("$ ")
	input("stty size; tty; stat -c %U:%G:%a $(tty); echo $0 $TERM\n")
	screen.until("33 99\r\n/dev/pts/0\r\nann:tty:620\r\n-sh vt100\r\n")
	send(t, c, console.TypeWinch, console.Winch{Rows: 50, Cols: 120})
	input("stty size\n")
	screen.until("50 120\r\n")
	input("sleep 1000\n")
	screen.until("sleep 1000\r\n")
	running := func(word string) func() bool {
		return func() bool { return strings.Contains(r.sh("cat /proc/*/cmdline | tr '\\0' ' '"), word) }
	}
	eventually(t, "sleep 1000 runs", running("sleep 1000 "))
	input("\x03") // Ctrl-C reaches the foreground only
	screen.until("$ ")
	input("sleep 1001; echo status $?\n")
	screen.until("$?\r\n")
	eventually(t, "sleep 1001 runs", running("sleep 1001 "))
	send(t, c, console.TypeSignal, console.Signal{Signal: int(unix.SIGQUIT)})
	screen.until("status 131\r\n")
	if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdinEOF}); err != nil {
		t.Fatal(err)
	}
	if res := collect(t, c); res.exit.Error != "" {
		t.Errorf("after end of input: %+v", res.exit)
	}
}

// screen collects what a terminal shows.
type screen struct {
	t    *testing.T
	c    *net.UnixConn
	text string
}

// until reads on until the text has come, and forgets what was before it.
func (s *screen) until(text string) {
	s.t.Helper()
	for !strings.Contains(s.text, text) {
		f, err := console.ReadFrame(s.c)
		if err != nil || f.Type != console.TypeStdout {
			s.t.Fatalf("waiting for %q: %v %v %q, after %q", text, f.Type, err, f.Payload, s.text)
		}
		s.text += string(f.Payload)
	}
	_, s.text, _ = strings.Cut(s.text, text)
}

// TestHangUp: when the host goes away, so does the session, whatever it does.
func TestHangUp(t *testing.T) {
	tests := []struct {
		name, script string
		tty          bool
	}{
		{"waits", "sleep 1000", false},
		{"waits on a terminal", "sleep 1000", true},
		{"deaf", "trap '' HUP TERM; while :; do sleep 1000; done", false},
		{"deaf on a terminal", "trap '' HUP TERM; while :; do sleep 1000; done", true},
		{"writes", "yes", false},
		{"doesn't read", "exec sleep 1000", false},
		{"stopped", "kill -STOP $$", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := boot(t, setup{})
			const count = "set -- /proc/[0-9]*; echo $#"
			eventually(t, "rc has ended", func() bool { return r.sh(count) == "2" })
			c := r.enter(console.Start{Argv: []string{"/bin/sh", "-c", tt.script}, TTY: tt.tty})
			if tt.name == "doesn't read" { // fill queue and pipe, so that nobody reads the connection
				c.SetDeadline(time.Now().Add(time.Second))
				for console.WriteFrame(c, console.Frame{Type: console.TypeStdin, Payload: make([]byte, console.MaxPayload)}) == nil {
				}
			}
			eventually(t, "the session is there", func() bool { return r.sh(count) != "2" })
			c.Close()
			eventually(t, "the session is gone", func() bool { return r.sh(count) == "2" })
		})
	}
}

func TestASessionMayLeaveADaemon(t *testing.T) {
	r := boot(t, setup{})
	r.sh("setsid sleep 1000 >/dev/null 2>&1 &")
	eventually(t, "the daemon runs on its own", func() bool {
		return strings.Contains(r.sh("cat /proc/[0-9]*/comm 2>/dev/null; true"), "sleep")
	})
}

// TestManySessions: they run side by side, and a new host listening at the
// same place is found.
func TestManySessions(t *testing.T) {
	r := boot(t, setup{})
	var open []*net.UnixConn
	for range 30 {
		open = append(open, r.enter(console.Start{Argv: []string{"cat"}}))
	}
	for i, c := range open {
		word := fmt.Sprintf("session %d", i)
		if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdin, Payload: []byte(word)}); err != nil {
			t.Fatal(err)
		}
		if err := console.WriteFrame(c, console.Frame{Type: console.TypeStdinEOF}); err != nil {
			t.Fatal(err)
		}
		if res := collect(t, c); res.out != word || res.exit.Code != 0 {
			t.Errorf("session %d: %+v", i, res)
		}
	}
	r.consoles.Close() // removes the path too
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.host + "/console", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r.consoles = l
	begin := time.Now()
	r.sh("true")
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a new host waited %v", took)
	}
}

func TestAHostThatTalksNonsense(t *testing.T) {
	for name, bytes := range map[string]string{
		"not a frame":      "GET / HTTP/1.0\r\n\r\n",
		"not a START":      "\x02\x00\x00\x00\x01x",
		"broken JSON":      "\x01\x00\x00\x00\x01{",
		"nothing, then go": "",
	} {
		t.Run(name, func(t *testing.T) {
			r := boot(t, setup{})
			r.consoles.SetDeadline(time.Now().Add(deadline))
			c, err := r.consoles.AcceptUnix()
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte(bytes))
			c.Close()
			r.sh("true")
		})
	}
}

// TestABrokenJailCanBeEntered: jail root has made a mess of the files that a
// session needs.
func TestABrokenJailCanBeEntered(t *testing.T) {
	r := boot(t, setup{})
	r.sh("rm /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group; rm -rf /root")
	if out := r.sh("id -u; pwd"); out != "0\n/" {
		t.Errorf("root in a broken jail: %q", out)
	}
}

// TestOurProgramCannotBeReplaced is row T2: jail root tries to write what PID 1
// and the sessions run.
func TestOurProgramCannotBeReplaced(t *testing.T) {
	r := boot(t, setup{})
	before, err := os.ReadFile(r.host + "/bin/injail")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{
		"echo x >/run/emulab/bin/injail", "echo x >>/proc/1/exe", "cp /bin/true /run/emulab/bin/injail",
		"rm /run/emulab/bin/injail", "chmod 777 /run/emulab/bin/injail", "mount -o remount,rw,bind /run/emulab",
		"printf '#!/proc/self/exe\\n' >/tmp/s; chmod 755 /tmp/s; echo x >>/proc/1/exe; exit 1",
	} {
		if res := r.as("root", script); res.exit.Code == 0 {
			t.Errorf("%s worked", script)
		}
	}
	after, err := os.ReadFile(r.host + "/bin/injail")
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the host's file has changed, %v", err)
	}
	r.sh("true")
}

// TestADirectoryIsInside is row T3: no descriptor of PID 1 leads a session out
// of the jail's tree.
func TestADirectoryIsInside(t *testing.T) {
	r := boot(t, setup{})
	r.sh("for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do ln -s /proc/self/fd/$n /tmp/fd$n; ln -s /proc/1/fd/$n /tmp/one$n; done; ln -s /proc/1/cwd /tmp/cwd; ln -s /proc/1/root /tmp/root")
	for _, dir := range strings.Fields(r.sh("ls -d /tmp/*")) {
		res := collect(t, r.enter(console.Start{Argv: []string{"sh", "-c", "pwd -P; ls /run/emulab/bin/injail"}, Dir: dir}))
		inside := res.exit.Code == 0 && strings.HasPrefix(res.out, "/\n")
		if !inside && res.exit.Error == "" {
			t.Errorf("in %s: %+v", dir, res)
		}
	}
}
