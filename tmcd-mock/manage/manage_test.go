package manage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// TestMain lets the test run itself as a server that is killed: see TestDeadServersSocketIsTakenOver.
func TestMain(m *testing.M) {
	if path := os.Getenv("MANAGE_TEST_SERVER"); path != "" {
		if _, err := Listen(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {}
	}
	os.Exit(m.Run())
}

// options answer with one node whose reports are hostile.
func options() Options {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "x_total", Help: "x"})
	registry.MustRegister(counter)
	return Options{
		Status: func() Status { return Status{PID: 7} },
		Nodes: func() []Node {
			return []Node{{ID: "pc1", Host: "pc1", State: "IS\x1bUP", Reports: map[string]store.Text{"bootlog": "<script>\xff\x00\x1b[2J"}}}
		},
		Set: func(c []Change) error {
			if len(c) == 0 || c[0].Table != "nodes" {
				return errors.New("no row matches")
			}
			return nil
		},
		Account: func(a Account) error { return fmt.Errorf("no project %q", a.Project) },
		Reload:  func() error { return errors.New("x.yaml:3: want a number") },
		Faults:  fault.NewSet(5), Journal: store.NewJournal(), Metrics: registry,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func serve(t testing.TB, o Options) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "s.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return path
}

// shortDir: a test's own directory has too long a name for a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestClient(t *testing.T) {
	o := options()
	c, ctx := Dial(serve(t, o)), t.Context()
	if s, err := c.Status(ctx); err != nil || s.PID != 7 {
		t.Errorf("status %+v, %v", s, err)
	}
	if n, err := c.Nodes(ctx); err != nil || n.Nodes[0].State != "IS\x1bUP" || n.Nodes[0].Reports["bootlog"] != "<script>\xff\x00\x1b[2J" {
		t.Errorf("nodes %q, %v", n, err)
	}
	if err := c.Set(ctx, []Change{{Op: "update", Table: "nodes"}}); err != nil {
		t.Errorf("set: %v", err)
	}
	if err := c.Set(ctx, nil); err == nil || err.Error() != "no row matches" {
		t.Errorf("set nothing: %v", err)
	}
	if err := c.SetAccount(ctx, Account{Project: "p"}); err == nil || err.Error() != `no project "p"` {
		t.Errorf("account: %v", err)
	}
	if err := c.Reload(ctx); err == nil || err.Error() != "x.yaml:3: want a number" {
		t.Errorf("reload: %v", err)
	}
	rule, err := fault.Parse("cut bytes=3 next=2")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := c.AddFault(ctx, rule); err != nil || id != 1 {
		t.Errorf("add: %d, %v", id, err)
	}
	if f, err := c.Faults(ctx); err != nil || f.Seed != 5 || len(f.Faults) != 1 || f.Faults[0].Rule != "cut next=2 bytes=3" {
		t.Errorf("faults %+v, %v", f, err)
	}
	if err := c.RemoveFault(ctx, 9); err == nil {
		t.Error("fault 9 was removed")
	}
	if err := c.RemoveFault(ctx, 1); err != nil {
		t.Error(err)
	}
	var metrics strings.Builder
	if err := c.Metrics(ctx, &metrics); err != nil || !strings.Contains(metrics.String(), "x_total 0") {
		t.Errorf("metrics %q, %v", metrics.String(), err)
	}
}

func TestClientFollowsTheJournal(t *testing.T) {
	o := options()
	c := Dial(serve(t, o))
	o.Journal.Add(store.Event{Node: "one"})
	var got []string
	err := c.Journal(t.Context(), 1, true, func(e store.Event) bool {
		got = append(got, e.Node)
		if e.Node == "one" {
			o.Journal.Add(store.Event{Node: "two", Request: &store.Request{Command: "status"}})
		}
		return e.Node != "two"
	})
	if err != nil || strings.Join(got, " ") != "one two" {
		t.Errorf("%q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Journal(ctx, 2, true, func(store.Event) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("followed in a dead context: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	for _, at := range []string{filepath.Join(shortDir(t), "s.sock"), "127.0.0.1:1"} {
		if _, err := Dial(at).Status(t.Context()); !errors.Is(err, ErrNobody) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// raw sends bytes as they are and returns the status line: a browser that was misled can send any.
func raw(t testing.TB, network, addr, request string) string {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.Status[:3]
}

// T43: Host, Origin and content type, over the unix socket and over TCP.
func TestT43Gates(t *testing.T) {
	path := serve(t, options())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, options())
	t.Cleanup(func() { s.Close() })
	tcp := l.Addr().String()
	_, port, _ := net.SplitHostPort(tcp)
	const rule = `{"rule":"refuse"}`
	post := func(headers string) string {
		return fmt.Sprintf("POST /v1/faults HTTP/1.1\n%sContent-Length: %d\n\n%s", headers, len(rule), rule)
	}
	for _, row := range []struct {
		name, network, request, want string
	}{
		{"unix", "unix", "GET /v1/nodes HTTP/1.1\nHost: unix\n\n", "200"},
		{"localhost", "unix", "GET /v1/nodes HTTP/1.1\nHost: localhost\n\n", "200"},
		{"another host", "unix", "GET /v1/nodes HTTP/1.1\nHost: evil.example\n\n", "403"},
		{"no host", "unix", "GET /v1/nodes HTTP/1.0\n\n", "403"},
		{"our port", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:" + port + "\n\n", "200"},
		{"by address", "tcp", "GET /v1/nodes HTTP/1.1\nHost: 127.0.0.1:" + port + "\n\n", "200"},
		{"another port", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:1\n\n", "403"},
		{"rebound name", "tcp", "GET /v1/nodes HTTP/1.1\nHost: evil.example:" + port + "\n\n", "403"},
		{"unix over tcp", "tcp", "GET /v1/nodes HTTP/1.1\nHost: unix\n\n", "403"},
		{"our origin", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:" + port + "\nOrigin: http://localhost:" + port + "\n\n", "200"},
		{"other origin", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:" + port + "\nOrigin: http://evil.example\n\n", "403"},
		{"origin null", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:" + port + "\nOrigin: null\n\n", "403"},
		{"two origins", "tcp", "GET /v1/nodes HTTP/1.1\nHost: localhost:" + port + "\nOrigin: http://localhost:" + port + "\nOrigin: http://evil.example\n\n", "403"},
		{"change as JSON", "tcp", post("Host: localhost:" + port + "\nContent-Type: application/json; charset=utf-8\n"), "200"},
		{"change as a form", "tcp", post("Host: localhost:" + port + "\nContent-Type: application/x-www-form-urlencoded\n"), "415"},
		{"change as text", "tcp", post("Host: localhost:" + port + "\nContent-Type: text/plain\n"), "415"},
		{"change without a type", "tcp", post("Host: localhost:" + port + "\n"), "415"},
		{"change by GET", "tcp", "GET /v1/reload HTTP/1.1\nHost: localhost:" + port + "\n\n", "405"},
		{"too big", "tcp", fmt.Sprintf("POST /v1/faults HTTP/1.1\nHost: localhost:%s\nContent-Type: application/json\nContent-Length: %d\n\n{\"rule\":\"%s", port, 2<<20, strings.Repeat("x", 2<<20)), "400"},
		{"unknown field", "tcp", "POST /v1/faults HTTP/1.1\nHost: localhost:" + port + "\nContent-Type: application/json\nContent-Length: 9\n\n{\"rul\":1}", "400"},
		{"no such page", "tcp", "GET / HTTP/1.1\nHost: localhost:" + port + "\n\n", "404"},
	} {
		t.Run(row.name, func(t *testing.T) {
			addr := tcp
			if row.network == "unix" {
				addr = path
			}
			if row.name == "too big" {
				// The server answers before it has read all: the client's write may fail.
				if got := rawTolerant(t, row.network, addr, row.request); got != row.want && got != "" {
					t.Errorf("status %s, want %s", got, row.want)
				}
				return
			}
			if got := raw(t, row.network, addr, row.request); got != row.want {
				t.Errorf("status %s, want %s", got, row.want)
			}
		})
	}
}

func rawTolerant(t testing.TB, network, addr, request string) string {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n")) }()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	return r.Status[:3]
}

// T43: curl sees what nodes reported as JSON, without a byte that a terminal or a page would obey.
func TestT43ReportsAreEscaped(t *testing.T) {
	c, err := net.Dial("unix", serve(t, options()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/nodes HTTP/1.0\r\nHost: unix\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	for _, bad := range []string{"\x1b", "\x00", "\xff", "<script"} {
		if strings.Contains(body, bad) {
			t.Errorf("the answer holds %q:\n%s", bad, body)
		}
	}
	if !strings.Contains(string(b), "nosniff") || !strings.Contains(string(b), "application/json") {
		t.Errorf("headers:\n%s", b)
	}
}

func TestDeadServersSocketIsTakenOver(t *testing.T) {
	path := filepath.Join(shortDir(t), "s.sock")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MANAGE_TEST_SERVER="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the other server: %q, %v", line, err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("beside a living server: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the dead server's socket: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatalf("after a dead server: %v", err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if c, err := net.Dial("unix", path); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

func TestListenRefuses(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "l.sock")
	if err := os.Symlink(file, link+".lock"); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ path, want string }{
		{file, "no socket"},
		{filepath.Join(open, "s.sock"), "others may write"},
		{filepath.Join(dir, strings.Repeat("x", 100)), "longer than"},
		{link, syscall.ELOOP.Error()},
	} {
		if l, err := Listen(row.path); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, %v; want …%s…", row.path, l, err, row.want)
		}
	}
	if b, err := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file in the way: %q, %v", b, err)
	}
}

func TestDefaultSocket(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	got := DefaultSocket()
	if os.Getuid() == 0 && !strings.HasSuffix(got, "/run/emulab/tmcd-mock.sock") || os.Getuid() != 0 && got != "/run/user/7/emulab/tmcd-mock.sock" {
		t.Errorf("default socket %s", got)
	}
}
