//go:build linux && privileged

package e2e

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTmcdAway: tmcd breaks off each question of a boot inside. For a while:
// asked again, and the boot is as good as any. For good: TBFAILED with the
// reason where the jail isn't up without the answer.
func TestTmcdAway(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.a)
	for _, tt := range []struct {
		command string
		fatal   string // part of the reason; empty: the jail is up without it
	}{
		{"fullconfig", "config"},
		{"hostnames", ""},
		{"state", "report ISUP"},
	} {
		t.Run(tt.command+" broken off twice", func(t *testing.T) {
			i.fault("reset", "command="+tt.command, "bytes=0", "next=2", "node="+i.a)
			i.enter(i.a, "injail", "rc", "boot")
			if s := i.summaryOf(i.a, "boot"); s.State != "ISUP" || s.Failures() > 0 {
				t.Errorf("%s", s.Text())
			}
			i.noFaults()
		})
		t.Run(tt.command+" broken off always", func(t *testing.T) {
			i.fault("reset", "command="+tt.command, "bytes=0", "node="+i.a)
			out := i.jailsetup("enter", "-T", i.a, "injail", "rc", "boot")
			i.noFaults()
			s := i.summaryOf(i.a, "boot")
			if tt.fatal == "" {
				if out.code != 0 || s.State != "ISUP" || step(t, s, tt.command).Status != "failed" {
					t.Errorf("exit code %d: %s", out.code, s.Text())
				}
				return
			}
			if out.code == 0 || s.State != "TBFAILED" || !strings.Contains(s.Error, tt.fatal) {
				t.Errorf("exit code %d, %s: %s", out.code, s.Error, s.Text())
			}
			if st := i.jailsetup("status", i.a); st.code != 1 || !strings.Contains(st.stdout, "fatal: ") {
				t.Errorf("status: exit code %d: %s", st.code, st.stdout)
			}
			if tt.command != "state" { // which can't be heard either
				i.reports(i.a, "TBFAILED")
				if n := i.node(i.a); !strings.Contains(n.Reports["bootlog"], tt.fatal) || n.Reports["booterrno"] == "" {
					t.Errorf("tmcd has heard %+v", n.Reports)
				}
			}
			i.enter(i.a, "injail", "rc", "boot") // the next one is as good as any
			i.reports(i.a, "ISUP")
			if c := i.changes(i.a, "boot"); len(c) > 0 {
				t.Errorf("half installed before: %q", c)
			}
		})
	}
	t.Run("tmcd is gone for three seconds", func(t *testing.T) {
		i.mock.kill()
		done := make(chan result, 1)
		go func() { done <- i.jailsetup("enter", "-T", i.a, "injail", "rc", "boot") }()
		<-time.After(3 * time.Second)
		i.startMock()
		if out := <-done; out.code != 0 {
			t.Errorf("%v\n%s", out.err(), out.stdout)
		}
	})
}

// TestTmcdAwayFromTheHost: the same while the host asks, before there is a jail.
// For a while: asked again. For good: nothing is made, and tmcd, which hears the
// state, has TBFAILED with the reason.
func TestTmcdAwayFromTheHost(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	for _, command := range []string{"state", "status", "fullconfig"} {
		t.Run(command+" broken off twice", func(t *testing.T) {
			r.fault("reset command=" + command + " bytes=0 next=2 node=" + v)
			r.boot(v)
			r.must("kill", v)
		})
		t.Run(command+" broken off always", func(t *testing.T) {
			r.fault("reset command=" + command + " bytes=0 node=" + v)
			out := r.jailsetup("boot", v)
			if cleared := r.run("tmcd-mock", "fault", "clear", "--manage", r.path("mock")); cleared.code != 0 {
				t.Fatal(cleared.err())
			}
			if out.code != 1 || !strings.Contains(out.stderr, "connection reset") {
				t.Errorf("exit code %d: %s", out.code, out.stderr)
			}
			r.noJailLeft()
			if command == "state" { // which can't be heard
				return
			}
			if n := r.node(v); n.State != "TBFAILED" || !strings.Contains(n.Reports["bootlog"], "connection reset") {
				t.Errorf("tmcd has heard %s, %q", n.State, n.Reports["bootlog"])
			}
			r.boot(v) // the next one is as good as any
			r.must("kill", v)
		})
	}
	t.Run("tmcd is gone for two seconds", func(t *testing.T) {
		r.mock.kill()
		done := make(chan result, 1)
		go func() { done <- r.jailsetup("boot", v) }()
		<-time.After(2 * time.Second)
		r.startMock()
		if out := <-done; out.code != 0 {
			t.Errorf("%v", out.err())
		}
		r.reports(v, "ISUP")
	})
}

// cutter is a web server that ends each answer after some bytes.
type cutter struct {
	file     []byte
	piece    int
	ranges   bool // it can go on in the middle
	requests atomic.Int32
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	var from int
	if at := r.Header.Get("Range"); at != "" && c.ranges {
		if _, err := fmt.Sscanf(at, "bytes=%d-", &from); err != nil || from > len(c.file) {
			http.Error(w, "range", http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(c.file)-1, len(c.file)))
	}
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Last-Modified", "Wed, 25 Nov 2026 12:00:00 GMT")
	w.Header().Set("Content-Length", fmt.Sprint(len(c.file)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(c.file[from:min(from+c.piece, len(c.file))])
	if from+c.piece < len(c.file) {
		panic(http.ErrAbortHandler) // cut off
	}
}

// TestSoftwareFaults: what comes by the web is cut everywhere, and the disk is
// full: nothing is half installed, and the next run makes it good.
func TestSoftwareFaults(t *testing.T) {
	i := newInside(t, nil)
	big := make([]byte, 1<<20)
	_, _ = rand.Read(big)
	tarball := i.tarball("tools.tar.gz", map[string]string{"big/data": string(big)})
	archive, err := os.ReadFile(tarball)
	if err != nil {
		t.Fatal(err)
	}
	// The jails' web server is the test's own: the mock's is on another port.
	c := &cutter{file: archive, piece: 64 << 10, ranges: true}
	server := &http.Server{Handler: c}
	i.mock.kill()
	i.web = ""
	i.startMock()
	l, err := net.Listen("tcp", netip.AddrPortFrom(i.host, webPort).String())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	i.boot(i.a)

	t.Run("cut at each 64 KiB", func(t *testing.T) {
		if n := int(c.requests.Load()); n < len(archive)>>16 {
			t.Errorf("%d requests", n)
		}
		if got := i.says(i.a, "wc -c </opt/big/data"); got != fmt.Sprintf("%d\n", len(big)) {
			t.Errorf("%s bytes", got)
		}
		i.nothingHalf(t)
	})
	another := func() {
		_, _ = rand.Read(big)
		if c.file, err = os.ReadFile(i.tarball("tools.tar.gz", map[string]string{"big/data": string(big)})); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("cut where it can't go on: failed, and nothing of it is there", func(t *testing.T) {
		another()
		c.ranges = false
		sum := i.says(i.a, "md5sum </opt/big/data")
		out := i.jailsetup("update", "--software", i.a)
		if out.code != 1 || !strings.Contains(out.stdout, "tarballs     failed") {
			t.Errorf("exit code %d: %s", out.code, out.stdout)
		}
		if now := i.says(i.a, "md5sum </opt/big/data"); now != sum {
			t.Error("the file has changed")
		}
		i.nothingHalf(t)
		c.ranges = true
		i.must("update", "--software", i.a)
		if now := i.says(i.a, "md5sum </opt/big/data"); now == sum {
			t.Error("the file hasn't changed")
		}
	})
	t.Run("the disk is full", func(t *testing.T) {
		another()
		c.piece = len(c.file)
		passwd := i.says(i.a, "md5sum </etc/passwd")
		i.says(i.a, "cat /dev/zero >/var/tmp/fill 2>/dev/null; true")
		out := i.jailsetup("update", "-a", i.a)
		if out.code != 1 {
			t.Errorf("exit code %d: %s", out.code, out.stdout)
		}
		if now := i.says(i.a, "md5sum </etc/passwd"); now != passwd {
			t.Error("passwd has changed")
		}
		if out := i.as("alice", i.a, "id -un"); out.stdout != "alice\n" {
			t.Errorf("alice: %v", out.err())
		}
		i.says(i.a, "rm /var/tmp/fill")
		i.nothingHalf(t)
		i.must("update", "-a", i.a)
		if got := []byte(i.enter(i.a, "cat", "/opt/big/data")); !bytes.Equal(got, big) {
			t.Errorf("%d bytes, not the new ones", len(got))
		}
		i.must("update", "-a", i.a)
		if c := i.changes(i.a, "refresh"); len(c) > 0 {
			t.Errorf("a second run: %q", c)
		}
	})
}

// nothingHalf looks for what an interrupted installation leaves.
func (i *inside) nothingHalf(t *testing.T) {
	t.Helper()
	if got := i.says(i.a, "find /opt /var/tmp /var/emulab /etc -name 'tarball.*' -o -name '*.new' -o -path '/etc/*[wp]+' | sort"); got != "" {
		t.Errorf("left: %s", got)
	}
}

// TestSpeechless: `status` of a jail whose root has put something else in the
// place of its summary is told in time, and nothing of it reaches a terminal.
func TestSpeechless(t *testing.T) {
	i := newInside(t, nil)
	i.boot(i.b)
	const summaryFile = "/var/emulab/logs/boot.json"
	for _, tt := range []struct{ name, line, want string }{
		{"a fifo", "rm $f; mkfifo $f", "no answer within"},
		{"an endless file", "rm $f; ln -s /dev/zero $f", "no summary from inside"},
		{"a terminal's orders", `rm $f; printf '{"vnode":"x","state":"\\u001b[2J","steps":[{"step":"\\u001b]0;x\\u0007"}]}' >$f`, `\x1b[2J`},
		{"nothing", "rm -f $f", "No such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i.says(i.b, "f="+summaryFile+"; "+tt.line)
			out := i.jailsetup("status", i.b)
			if out.took > 15*time.Second || !strings.Contains(out.stdout, tt.want) || strings.Contains(out.stdout, "\x1b") {
				t.Errorf("after %v: %q %q", out.took, out.stdout, out.stderr)
			}
		})
	}
}
