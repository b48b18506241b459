package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
	"emujail/tmcc/client"
)

// start runs tmcc as a supervisor does, with files from descriptor 3.
func start(t *testing.T, env []string, files []*os.File, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("tmcc", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "WORK=" + t.TempDir(), "TMCCNOSSL=1"}, env...)
	cmd.ExtraFiles, cmd.Stderr = files, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, &stderr
}

// door is a listening unix socket, to be handed over, and its path.
func door(t *testing.T) (*os.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ln.SetUnlinkOnClose(false)
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

// echo is a tmcd that answers with the request; it returns its port.
func echo(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func askAt(t *testing.T, path string) string {
	t.Helper()
	c, err := client.New(client.Options{Network: client.Unix, UnixPath: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	reply, err := c.Do(ctx, protocol.Request{Version: 40, VNodeID: "pcvm9-9", Command: "status", HasArgs: true})
	if err != nil {
		t.Error(err)
	}
	return string(reply)
}

func TestSocketsHandedOver(t *testing.T) {
	for name, row := range map[string]struct {
		names string
		args  []string
		want  []string
	}{
		"two, by their names":  {"pcvm1-1:pcvm1-2", nil, []string{"pcvm1-1", "pcvm1-2"}},
		"one, by -n":           {"socket", []string{"-n", "pcvm1-3"}, []string{"pcvm1-3"}},
		"one, by its own name": {"pcvm1-4", nil, []string{"pcvm1-4"}},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*os.File
			var paths []string
			for range row.want {
				f, path := door(t)
				files, paths = append(files, f), append(paths, path)
			}
			env := []string{"LISTEN_FDS=" + strconv.Itoa(len(files)), "LISTEN_FDNAMES=" + row.names}
			args := append([]string{"-s", "127.0.0.1", "-p", strconv.Itoa(echo(t)), "-proxy"}, row.args...)
			cmd, stderr := start(t, env, files, args...)
			for i, path := range paths {
				if got, want := askAt(t, path), "PROXYFOR="+row.want[i]+" VERSION=40 status "; got != want {
					t.Errorf("socket %d: tmcd saw %q, want %q", i, got, want)
				}
			}
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("proxy: %v: %s", err, stderr)
			}
		})
	}
}

// T25: no identity known, no service.
func TestSocketsWithoutIdentity(t *testing.T) {
	for name, row := range map[string]struct {
		fds, names string
		files      int
		want       string
	}{
		"fewer names than sockets": {"2", "pcvm1-1", 2, "2 sockets handed over, 1 names"},
		"more names than sockets":  {"1", "pcvm1-1:pcvm1-2", 1, "1 sockets handed over, 2 names"},
		"two of one name":          {"2", "pcvm1-1:pcvm1-1", 2, "two sockets of one name"},
		"no names":                 {"1", "", 1, `vnode ""`},
		"a name that is no node's": {"1", "a=b", 1, `vnode "a=b"`},
		"too long a name":          {"1", strings.Repeat("x", 31), 1, "xxx"},
		"no number":                {"x", "pcvm1-1", 1, `LISTEN_FDS="x"`},
		"none":                     {"0", "", 0, `LISTEN_FDS="0"`},
		"not there":                {"1", "pcvm1-1", 0, "descriptor 3, pcvm1-1"},
		"control among others":     {"2", "control:pcvm1-1", 2, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*os.File
			for range row.files {
				f, _ := door(t)
				files = append(files, f)
			}
			env := []string{"LISTEN_FDS=" + row.fds, "LISTEN_FDNAMES=" + row.names}
			cmd, stderr := start(t, env, files, "-s", "127.0.0.1", "-p", "1", "-proxy")
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(stderr.String(), row.want) {
				t.Errorf("%v, want %d and %q: %s", err, exitFailed, row.want, stderr)
			}
		})
	}
}

// A supervisor's end of the control socket closes: the proxy drains and ends.
func TestControlHandedOver(t *testing.T) {
	ours, theirs, err := control.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd, stderr := start(t, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=control"}, []*os.File{theirs}, "-proxy")
	theirs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, _, err := ours.Receive(ctx)
	if err != nil || m.Op != control.OpReady {
		t.Errorf("first message: %+v, %v", m, err)
	}
	ours.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("proxy: %v: %s", err, stderr)
	}
}
