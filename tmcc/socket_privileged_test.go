//go:build linux && privileged

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The units tmcc-proxy@: systemd's own program hands the socket over by the name
// that the one unit gives it, to a proxy with the rights that the other one
// leaves, by its command line. The jail is who the instance is named after.
func TestSocketActivation(t *testing.T) {
	socket, service := unitOf(t, "tmcc-proxy@.socket"), unitOf(t, "tmcc-proxy@.service")
	name := strings.ReplaceAll(socket("FileDescriptorName"), "%i", "pcvm1-1")
	words := strings.Fields(service("ExecStart"))
	if service("CapabilityBoundingSet") != "" || service("NoNewPrivileges") != "yes" || filepath.Base(words[0]) != "tmcc" {
		t.Fatalf("the unit starts %q with other rights than this test", words)
	}
	path := filepath.Join(t.TempDir(), "s")
	args := []string{"--listen", path, "--fdname", name, "--setenv=TMCCNOSSL=1",
		"setpriv", "--bounding-set=-all", "--no-new-privs", "tmcc", "-s", "127.0.0.1", "-p", strconv.Itoa(echo(t))}
	cmd := exec.Command("systemd-socket-activate", append(args, words[1:]...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("no socket: %v", err)
		}
	}
	if got, want := askAt(t, path), "PROXYFOR=pcvm1-1 VERSION=40 status "; got != want {
		t.Errorf("tmcd saw %q, want %q", got, want)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if t.Failed() {
		t.Logf("%s", &stderr)
	}
}

// unitOf reads a unit of ours: KEY=value.
func unitOf(t *testing.T, name string) func(key string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../dist/systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return func(key string) string {
		lines := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(string(text), -1)
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines %s=", name, len(lines), key)
		}
		return lines[0][1]
	}
}
