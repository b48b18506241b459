//go:build linux && privileged

package removal

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a file system in an image, as a jail has it, and a directory to mount
// it at.
func disk(t *testing.T) (image, at string) {
	t.Helper()
	dir := t.TempDir()
	image, at = filepath.Join(dir, "root.img"), filepath.Join(dir, "mnt")
	run(t, "truncate", "-s", "1M", image)
	run(t, "mkfs.ext4", "-q", "-F", image)
	plant(t, dir, "mnt/")
	return image, at
}

func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// gone wants that the disk can be removed.
func gone(t *testing.T, image string) {
	t.Helper()
	if err := Disk(t.Context(), image); err != nil || there(image) {
		t.Errorf("%v; still there: %t", err, there(image))
	}
}

func TestDiskOfNobody(t *testing.T) {
	image, _ := disk(t)
	if err := Unused(image, image+".other"); err != nil {
		t.Error(err)
	}
	gone(t, image)
	gone(t, image)
}

// TestDiskAttached: an image that somebody has attached by hand stays, whatever
// he calls it.
func TestDiskAttached(t *testing.T) {
	image, _ := disk(t)
	name := image + ".other"
	if err := os.Link(image, name); err != nil {
		t.Fatal(err)
	}
	dev := run(t, "losetup", "--find", "--show", name)
	attached := true
	defer func() {
		if attached {
			run(t, "losetup", "-d", dev)
		}
	}()
	refused(t, Unused(image), image, "losetup -d "+dev)
	refused(t, Disk(t.Context(), image), image, "losetup -d "+dev)
	if !there(image) {
		t.Error("it is gone")
	}
	run(t, "losetup", "-d", dev)
	attached = false
	gone(t, image)
}

// TestDiskMounted: the same of one that is mounted, though its loop device goes by
// itself, as a jail's does.
func TestDiskMounted(t *testing.T) {
	image, at := disk(t)
	run(t, "mount", "-o", "loop", image, at)
	mounted := true
	defer func() {
		if mounted {
			run(t, "umount", at)
		}
	}()
	plant(t, at, "work")
	refused(t, Unused(image), image, "umount "+at)
	refused(t, Disk(t.Context(), image), image, "umount "+at)
	if !there(image) || !there(filepath.Join(at, "work")) {
		t.Error("it is gone")
	}
	run(t, "umount", at)
	mounted = false
	gone(t, image)
}

// TestDiskMountedOver: an image that something else is mounted over stays.
func TestDiskMountedOver(t *testing.T) {
	image, _ := disk(t)
	plant(t, filepath.Dir(image), "kept")
	umount := bind(t, filepath.Join(filepath.Dir(image), "kept"), image)
	refused(t, Disk(t.Context(), image), image, "umount "+image)
	umount()
	gone(t, image)
}

// TestDiskMountedElsewhere: one that is mounted in another mount namespace may be
// a jail's that is just ending: it is waited for. If that lasts, it is somebody's.
func TestDiskMountedElsewhere(t *testing.T) {
	image, at := disk(t)
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount -o loop "$0" "$1" && echo mounted && read _; umount "$1"`, image, at)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			in.Close()
			_ = cmd.Wait()
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := Unused(image); err != nil {
		t.Errorf("a jail's own is taken for a stranger's: %v", err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, Disk(late, image), image, fmt.Sprintf("nsenter -t %d -m umount %s", cmd.Process.Pid, at))
	in.Close() // the jail ends
	gone(t, image)
	ended = true
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestDiskHeldOpen: the same of a loop device that only somebody's descriptor
// holds.
func TestDiskHeldOpen(t *testing.T) {
	image, _ := disk(t)
	dev := run(t, "losetup", "--find", "--show", image)
	f, err := os.Open(dev)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run(t, "losetup", "-d", dev) // once nobody has it open
	late, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, Disk(late, image), image, "fuser "+dev+" tells who")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, image)
}

// TestDiskThatAFileKeeps: a file of the disk that somebody has open, which jails can
// hand to each other, keeps no disk: it goes with that file.
func TestDiskThatAFileKeeps(t *testing.T) {
	image, at := disk(t)
	run(t, "mount", "-o", "loop", image, at)
	f, err := os.Create(filepath.Join(at, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run(t, "umount", "-l", at)
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Disk(late, image); err != nil || there(image) {
		t.Errorf("%v; is there: %t", err, there(image))
	}
}

// TestDiskThatIsALink: only the link goes.
func TestDiskThatIsALink(t *testing.T) {
	image, _ := disk(t)
	link := filepath.Join(filepath.Dir(image), "link")
	if err := unix.Symlink(image, link); err != nil {
		t.Fatal(err)
	}
	gone(t, link)
	if !there(image) {
		t.Error("what it led to is gone")
	}
}
