package rootfs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// disk makes a small ext4 image as any user can.
func disk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.img")
	cmd := exec.Command("mkfs.ext4", "-q", "-F", path, "8m")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return path
}

// damage writes over part of the image.
func damage(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, n), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// tamper changes the superblock, checksum and all.
func tamper(t *testing.T, path, request string) {
	t.Helper()
	cmd := exec.Command("debugfs", "-w", "-R", request, path)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
}

func TestCheck(t *testing.T) {
	const magicAt = 1024 + 0x38 // of the superblock
	for _, c := range []struct {
		name  string
		spoil func(path string)
		says  string // nothing: the disk is fit to be mounted
	}{
		{"clean", func(string) {}, ""},
		{"marked as having errors", func(path string) { tamper(t, path, "ssv state 2"); tamper(t, path, "ssv free_inodes_count 1") }, ""},
		{"no file system", func(path string) { damage(t, path, magicAt, 2); damage(t, path, 4096, 1<<20) }, "e2fsck"},
		{"no disk", func(path string) { os.Remove(path) }, "no such file"},
		{"a link", func(path string) {
			if err := os.Rename(path, path+".real"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+".real", path); err != nil {
				t.Fatal(err)
			}
		}, "too many levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := disk(t)
			c.spoil(path)
			err := Check{Path: path}.Do(t.Context(), nil)
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("error %v, want one with %q", err, c.says)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

// A disk that somebody has open is waited for.
func TestCheckWaits(t *testing.T) {
	path := disk(t)
	user, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (Check{Path: path}).Do(ctx, nil); err == nil || !strings.Contains(err.Error(), "still in use") {
		t.Errorf("in use: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- Check{Path: path}.Do(t.Context(), nil) }()
	user.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
