//go:build linux && privileged

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestIO: a jail reads no faster than it may; where the kernel can't see to it,
// the boot says so.
func TestIO(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	r.edit("site.yaml", "disk_mib: 64}", "disk_mib: 64, io_read_mib: 4}")
	r.startServe()
	r.startMock()
	v := r.vnodes[0]
	out := r.jailsetup("boot", v)
	if !throttles() {
		if out.code == 0 || !strings.Contains(out.stderr, "limits.io_read_mib: this kernel has no") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		return
	}
	if out.code != 0 {
		t.Fatal(out.err())
	}
	r.enter(v, "dd", "if=/dev/urandom", "of=/root/file", "bs=1M", "count=12", "conv=fsync")
	// Neither the jail's page cache nor the host's is to answer.
	r.enter(v, "dd", "if=/root/file", "iflag=nocache", "count=0")
	image, err := os.Open(filepath.Join(r.state(), v, "root.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if err := image.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(image.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.enter(v, "dd", "if=/root/file", "of=/dev/null", "bs=1M", "iflag=direct")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("12 MiB at 4 MiB/s took %s", took)
	}
}

// throttles tells whether the kernel bounds reads, in v1 or in v2.
func throttles() bool {
	if _, err := os.Stat("/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device"); err == nil {
		return true
	}
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		text, err := os.ReadFile(root + "/cgroup.controllers")
		if err == nil && strings.Contains(" "+strings.TrimSpace(string(text))+" ", " io ") {
			return true
		}
	}
	return false
}
