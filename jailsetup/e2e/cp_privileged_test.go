//go:build linux && privileged

package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCopy: files go in and come out, and what jail root plants stays inside.
func TestCopy(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	here := t.TempDir()
	at := func(name string) string { return filepath.Join(here, name) }
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	if err := os.MkdirAll(at("tree/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tree/one": []byte("1\n"), "tree/sub/big": big, "-odd name": []byte("odd\n")} {
		if err := os.WriteFile(at(name), text, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../one", at("tree/sub/link")); err != nil {
		t.Fatal(err)
	}

	t.Run("a tree, there and back", func(t *testing.T) {
		r.must("cp", at("tree"), "node-a:/root")
		r.must("cp", "node-a:tree", at("back"))
		for name, want := range map[string][]byte{"back/one": []byte("1\n"), "back/sub/big": big, "back/sub/link": []byte("1\n")} {
			if got, err := os.ReadFile(at(name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		if got := r.enter(v, "stat", "-c", "%U %a %F", "tree/one", "tree/sub/link"); got != "root 640 regular file\nroot 777 symbolic link\n" {
			t.Errorf("inside: %s", got)
		}
	})
	t.Run("a file of the future, with -r", func(t *testing.T) {
		later := time.Now().Add(24 * time.Hour)
		if err := errors.Join(os.WriteFile(at("later"), nil, 0o644), os.Chtimes(at("later"), later, later)); err != nil {
			t.Fatal(err)
		}
		if out := r.jailsetup("cp", "-r", at("later"), v+":/tmp"); out.code != 0 || out.stderr != "" {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	t.Run("a file under another name", func(t *testing.T) {
		r.must("cp", at("tree/one"), v+":/tmp/two")
		if got := r.enter(v, "cat", "/tmp/two"); got != "1\n" {
			t.Errorf("says %q", got)
		}
	})
	t.Run("a name that looks like an option", func(t *testing.T) {
		r.must("cp", at("-odd name"), v+":/tmp")
		r.must("cp", v+":/tmp/-odd name", at("odd"))
		if got, err := os.ReadFile(at("odd")); err != nil || string(got) != "odd\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("jail root's tricks", func(t *testing.T) { copiesTricks(t, r, v, at) })
	t.Run("a tar of jail root's own is not used", func(t *testing.T) {
		r.enter(v, "sh", "-c", `printf '#!/bin/sh\nexit 3\n' >/usr/local/bin/tar; chmod 755 /usr/local/bin/tar`)
		r.must("cp", v+":/etc/hostname", at("hostname"))
	})
	t.Run("more than the limit", func(t *testing.T) {
		r.enter(v, "truncate", "-s", "1T", "/root/huge")
		out := r.jailsetup("cp", v+":huge", at("huge"))
		if out.code != 1 || !strings.Contains(out.stderr, "--limit") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
	for _, c := range []struct {
		name     string
		src, dst string
		code     int
		stderr   string
	}{
		{"nothing here", at("nothing"), v + ":/tmp", 1, "no such file"},
		{"nothing there", v + ":/nothing", at("x"), 1, "No such file"},
		{"no directory there", at("odd"), v + ":/nothing/odd", 1, "there is no directory /nothing in the jail"},
		{"no directory here", v + ":/etc/hostname", here + "/nothing/", 1, "there is no directory"},
		{"both here", at("odd"), at("odd2"), 2, "one of SRC and DST"},
		{"both there", v + ":/a", v + ":/b", 2, "one of SRC and DST"},
		{"everything", v + ":/", at("x"), 1, "name the file"},
		{"no such jail", "nobody:/etc/hostname", at("x"), 1, "no such jail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := r.jailsetup("cp", c.src, c.dst)
			if out.code != c.code || !strings.Contains(out.stderr, c.stderr) {
				t.Errorf("exit code %d, %q", out.code, out.stderr)
			}
		})
	}
}

// copiesTricks: what jail root has laid out comes out as plain files, or not at
// all.
func copiesTricks(t *testing.T, r *rig, v string, at func(name string) string) {
	r.enter(v, "sh", "-c", `mkdir -p /root/bad/d; cd /root/bad; echo fine >fine; ln -s /etc/shadow abs; ln -s ../../../../etc/shadow up
		ln -s .. d/s; ln -s d/s/.. round; mkfifo fifo; printf 'x' >"$(printf 'esc\033[31m')"; cp /bin/true suid; chmod 4755 suid; ln fine hard`)
	out := r.jailsetup("cp", v+":/root/bad", at("bad"))
	if out.code != 1 || !strings.Contains(out.stderr, "4 files were left out") || strings.ContainsRune(out.stderr, 0x1b) {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	for _, name := range []string{"abs", "up", "round", "fifo"} {
		if _, err := os.Lstat(at("bad/" + name)); err == nil {
			t.Errorf("%s has come out", name)
		}
	}
	if info, err := os.Stat(at("bad/suid")); err != nil || info.Mode() != 0o755 {
		t.Errorf("suid is %v, %v", info, err)
	}
	if got, err := os.ReadFile(at("bad/hard")); err != nil || string(got) != "fine\n" {
		t.Errorf("hard: %q, %v", got, err)
	}
}
