//go:build linux && privileged

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// TestPowerCut: only the records and the disk are left, and the disk wasn't
// unmounted. The next boot restores.
func TestPowerCut(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.enter(v, "sh", "-c", "echo kept >/root/kept; sync; for i in 1 2 3 4 5 6 7 8; do echo $i >/root/file$i; done")
	image := filepath.Join(r.state(), v, "root.img")
	if out, err := exec.Command("cp", "--sparse=always", image, r.path("dirty.img")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	r.cutPower(v)
	if err := os.Rename(r.path("dirty.img"), image); err != nil {
		t.Fatal(err)
	}
	r.startServe()
	r.startMock()
	j := r.phase(v, jail.Down)
	if j.Desired != jail.Running {
		t.Errorf("desired is %s", j.Desired)
	}
	r.boot(v)
	if got := r.enter(v, "cat", "/root/kept"); got != "kept\n" {
		t.Errorf("the disk has %q", got)
	}
	if trace, err := os.ReadFile(filepath.Join(r.state(), v, "trace.json")); err != nil || !bytes.Contains(trace, []byte("check disk")) {
		t.Errorf("the disk was not checked (%v)", err)
	}

	t.Run("a disk that can't be mended is kept", func(t *testing.T) {
		r.must("halt", v)
		f, err := os.OpenFile(image, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt(make([]byte, 1<<20), 0)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		out := r.jailsetup("boot", v)
		if out.code != 1 || !strings.Contains(out.complaint(), "e2fsck") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
		if _, err := os.Stat(image); err != nil {
			t.Error(err)
		}
		if got := r.node(v); got.State != "TBFAILED" || !strings.Contains(got.Reports["bootlog"], "e2fsck") {
			t.Errorf("tmcd has heard %q and %q", got.State, got.Reports["bootlog"])
		}
	})
}

// cutPower takes away all that a power cut would.
func (r *rig) cutPower(vnode string) {
	r.t.Helper()
	proxy := r.served().Proxy
	r.serve.kill()
	_ = syscall.Kill(proxy, syscall.SIGKILL)
	r.mock.kill()
	dirs, _ := cgroups()
	if err := os.WriteFile(filepath.Join(cgroupDir(vnode), "cgroup.kill"), []byte("1"), 0); err != nil {
		r.t.Fatal(err)
	}
	r.await("the jail's end", func() error {
		var errs []error
		for _, d := range dirs {
			if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		now, err := list()
		if left := now["loop devices"]; len(left) > 0 {
			err = fmt.Errorf("%v", left)
		}
		return errors.Join(append(errs, err)...)
	})
	pins, _ := filepath.Glob(filepath.Join(r.path("run"), "netns", "*"))
	for _, pin := range append(pins, filepath.Join(r.path("run"), "netns")) {
		if err := unix.Unmount(pin, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			r.t.Fatal(err)
		}
	}
	r.await("the uplink's end", func() error {
		there, err := list()
		if now := there["interfaces"]; len(now) > 1 {
			err = fmt.Errorf("%v", now)
		}
		return err
	})
	if err := os.RemoveAll(r.path("run")); err != nil {
		r.t.Fatal(err)
	}
	r.anotherBoot(vnode)
}

// anotherBoot makes the record one of another boot of the host.
func (r *rig) anotherBoot(vnode string) {
	r.t.Helper()
	path := filepath.Join(r.state(), vnode, "record.json")
	data, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	var record jail.Record
	if err := json.Unmarshal(data, &record); err != nil {
		r.t.Fatal(err)
	}
	record.BootID = "00000000-0000-0000-0000-000000000000"
	if data, err = json.Marshal(record); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}
