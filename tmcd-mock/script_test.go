package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"emujail/tmcd-mock/manage"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tmcd-mock": main})
}

// TestScript runs testdata/script: each begins with what someone wants. Beside testscript's own commands:
//
//	exits N command…     the command ends with that code
//	started SOCKET       wait for the server there; $ADDR is its address, $WEB its web server's
//	ask FROM text        send text to $ADDR over TCP from that address, close the writing side; stdout is the answer
//	askudp text          the same in a datagram, which must be answered by one
//	fetch URL            GET; stdout is the status and the body
//	until TEXT command…  run the command until its output holds the text
//	pidkill SOCKET SIG   send the signal to the server there, and for KILL and TERM wait for its end
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SOCK", env.WorkDir+"/m.sock")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "started": started, "ask": askTCP, "askudp": askUDP, "fetch": fetch, "until": repeat, "pidkill": pidKill,
		},
	})
}

// patience is how long a script waits for anything.
const patience = 20 * time.Second

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// poll tries f until it succeeds.
func poll(ts *testscript.TestScript, f func() error) {
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err = f(); err == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	ts.Fatalf("not within %v: %v", patience, err)
}

func started(ts *testscript.TestScript, _ bool, args []string) {
	var s manage.Status
	poll(ts, func() (err error) {
		s, err = manage.Dial(ts.MkAbs(args[0])).Status(context.Background())
		return err
	})
	ts.Setenv("ADDR", s.Listen[0])
	ts.Setenv("WEB", s.Web)
}

func askTCP(ts *testscript.TestScript, _ bool, args []string) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(args[0])}, Timeout: patience}
	c, err := d.Dial("tcp", ts.Getenv("ADDR"))
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, args[1])
	ts.Check(err)
	_ = c.(*net.TCPConn).CloseWrite() // a server that refuses may be gone already
	b, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		ts.Fatalf("%v", err)
	}
	say(ts, string(b))
}

func askUDP(ts *testscript.TestScript, _ bool, args []string) {
	c, err := net.Dial("udp", ts.Getenv("ADDR"))
	ts.Check(err)
	defer c.Close()
	_, err = io.WriteString(c, args[0])
	ts.Check(err)
	ts.Check(c.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 10000)
	n, err := c.Read(b)
	ts.Check(err)
	say(ts, string(b[:n]))
}

func fetch(ts *testscript.TestScript, _ bool, args []string) {
	client := http.Client{Timeout: patience}
	r, err := client.Get(args[0])
	ts.Check(err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	ts.Check(err)
	say(ts, r.Status+"\n"+string(b))
}

// say makes text the stdout that the script looks at.
func say(ts *testscript.TestScript, text string) {
	ts.Check(ts.Exec("printf", "%s", text))
}

func repeat(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, func() error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if out := ts.ReadFile("stdout"); !strings.Contains(out, args[0]) {
			return errors.New(out)
		}
		return nil
	})
}

func pidKill(ts *testscript.TestScript, _ bool, args []string) {
	s, err := manage.Dial(ts.MkAbs(args[0])).Status(context.Background())
	ts.Check(err)
	signals := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	ts.Check(syscall.Kill(s.PID, signals[args[1]]))
	if args[1] == "HUP" {
		return
	}
	poll(ts, func() error {
		if _, err := manage.Dial(ts.MkAbs(args[0])).Status(context.Background()); errors.Is(err, manage.ErrNobody) {
			return nil
		}
		return errors.New("it is still there")
	})
}
