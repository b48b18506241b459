package proxy

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/tmcc/client"
)

func TestBindMakesASocketForEverybody(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tmcc")
	ln, err := Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(path)
	if err != nil || st.Mode() != fs.ModeSocket|0o777 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if _, err := Bind(path); err == nil || !strings.Contains(err.Error(), "another process serves") {
		t.Errorf("a second one: %v", err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "tmcc.lock" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBindTakesOverFromTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tmcc")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close() // as after a kill: the name stays
	ln, err := Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestBindLeavesOthersThingsAlone(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, link, dir} {
		if ln, err := Bind(path); err == nil {
			ln.Close()
			t.Errorf("%s was taken over", path)
		}
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "x" {
		t.Errorf("the file: %q, %v", text, err)
	}
	if _, err := Bind(filepath.Join(dir, "none", "tmcc")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// A path of full length leaves no room for the temporary directory's name; on
// Linux it needs none.
func TestBindAtTheLongestPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("x", client.MaxUnixPath-len(dir)-1))
	ln, err := Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := Bind(path + "x"); err == nil {
		t.Error("a byte longer is accepted")
	}
}

func TestSocketOfAnotherStaysWhenWeClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tmcc")
	ln, err := Bind(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("removed: %v", err)
	}
}
