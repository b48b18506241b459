//go:build linux && privileged

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSwaps: while jails boot and end, somebody who may write where a shared
// directory lies swaps it with a link to a directory of the host (T8). A thousand
// boots; a hundred where the tag soak isn't set. Never is the host's directory in
// a jail, and nothing in it changes.
func TestSwaps(t *testing.T) {
	boots := 100
	if soak {
		boots = 1000
	}
	r := newRig(t, set{noServe: true, noMock: true})
	for _, d := range []string{"proj/jails", "users", "secret"} {
		if err := os.MkdirAll(r.path(d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	home, link := filepath.Join(r.path("users"), "alice"), filepath.Join(r.path("users"), "other")
	secret := filepath.Join(r.path("secret"), "secret")
	err := errors.Join(os.Mkdir(home, 0o777), os.WriteFile(filepath.Join(home, "own"), nil, 0o644),
		os.WriteFile(secret, []byte("of the host"), 0o644), os.Symlink(r.path("secret"), link))
	if err != nil {
		t.Fatal(err)
	}
	r.write("site.yaml", r.read("site.yaml")+"grace: 50ms\nshares: {/proj: "+r.path("proj")+", /users: "+r.path("users")+"}\n")
	r.edit("testbed.yaml", "    mounts: none\n", "    mounts: emulabdefault\n")
	r.startServe()
	r.startMock()
	v := r.vnodes[0]
	look := func() string {
		out := r.jailsetup("enter", "-T", v, "ls", "/users/alice")
		return strings.TrimSpace(out.stdout)
	}
	r.must("boot", v)
	if got := look(); got != "own" {
		t.Fatalf("without anybody's swapping, /users/alice has %q", got)
	}
	r.must("kill", v)

	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swaps := 0
	swapper.Go(func() { swaps = swap(t, home, link, stop) })
	shared, absent, refused := 0, 0, 0
	for range boots {
		out := r.jailsetup("boot", v)
		switch got := look(); {
		case out.code != 0 && strings.Contains(out.stderr, "to share it"):
			refused++
		case out.code != 0:
			t.Error(out.err())
		case got == "own":
			shared++
		case got == "":
			absent++
		default:
			t.Errorf("/users/alice has %q", got)
		}
		r.must("kill", v)
	}
	close(stop)
	swapper.Wait()
	if text, err := os.ReadFile(secret); err != nil || string(text) != "of the host" {
		t.Errorf("the host's file has %q (%v)", text, err)
	}
	if entries, err := os.ReadDir(r.path("secret")); err != nil || len(entries) != 1 {
		t.Errorf("the host's directory has %v (%v)", entries, err)
	}
	if shared == 0 || refused == 0 {
		t.Errorf("%d boots with the directory, %d refused: the race wasn't run", shared, refused)
	}
	t.Logf("soak: %d boots and ends during %d swaps: %d with the user's directory, %d without, %d refused, none with the host's",
		boots, swaps, shared, absent, refused)
}

// swap puts each in the other's place until stop, and says how often.
func swap(t *testing.T, one, other string, stop <-chan struct{}) (swaps int) {
	tick := time.NewTicker(100 * time.Microsecond) // the boots want some of the machine too
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return swaps
		case <-tick.C:
		}
		if err := unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
			t.Error(err)
			return swaps
		}
		swaps++
	}
}

// TestSwapsWithoutWall: who opens the same path to share it and follows links
// gets the host's directory, though the path was no link when it was looked at.
func TestSwapsWithoutWall(t *testing.T) {
	dir := t.TempDir()
	home, link, secret := filepath.Join(dir, "alice"), filepath.Join(dir, "other"), filepath.Join(dir, "secret")
	if err := errors.Join(os.Mkdir(home, 0o755), os.Mkdir(secret, 0o755), os.Symlink(secret, link)); err != nil {
		t.Fatal(err)
	}
	var want unix.Stat_t
	if err := unix.Stat(secret, &want); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() { swap(t, home, link, stop) })
	err := until(waitTimeout, func() error {
		for range 1000 {
			info, err := os.Lstat(home)
			if err != nil || !info.IsDir() {
				continue
			}
			fd, err := unix.Openat2(unix.AT_FDCWD, home, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
			if err != nil {
				continue
			}
			var got unix.Stat_t
			err = errors.Join(unix.Fstat(fd, &got), unix.Close(fd))
			if err != nil || got.Ino == want.Ino {
				return err
			}
		}
		return errors.New("never the host's directory")
	})
	close(stop)
	swapper.Wait()
	if err != nil {
		t.Error(err)
	}
}
