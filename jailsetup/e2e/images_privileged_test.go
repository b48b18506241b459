//go:build linux && privileged

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// rootTree makes a root tree: this host's, with an /etc of its own.
func (r *rig) rootTree(name string) string {
	r.t.Helper()
	dir := r.path(name)
	for _, d := range []string{dir, filepath.Join(dir, "usr")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := unix.Mount("/usr", filepath.Join(dir, "usr"), "", unix.MS_BIND, ""); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := unix.Unmount(filepath.Join(dir, "usr"), 0); err != nil {
			r.t.Error(err)
		}
	})
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(dir, link)); err != nil {
			r.t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", "-a", "/etc", dir).CombinedOutput(); err != nil {
		r.t.Fatalf("copy /etc: %v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/shells"), []byte("# of the image\n/bin/sh\n/bin/bash\n"), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return dir
}

// IMAGENAME names a root tree on the host's disk.
func TestImages(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.1", "tolerate: [gre]")
	v := r.vnodes[0] // FBSD-JAIL, of emulab-ops
	dir := r.rootTree("tree")
	site := r.read("site.yaml")
	restart := func(images string) {
		t.Helper()
		r.must("stop")
		<-r.serve.ended
		r.write("site.yaml", site+images+"\n")
		r.startServe()
	}

	restart("images: {UBUNTU14-64-STD: " + dir + "}")
	out := r.jailsetup("boot", v)
	if out.code != 1 || !strings.Contains(out.stderr, "image emulab-ops,emulab-ops,FBSD-JAIL:0 has no tree on this host (site file: images has UBUNTU14-64-STD)") {
		t.Errorf("unknown image: exit code %d: %s", out.code, out.stderr)
	}
	r.reports(v, "TBFAILED")

	restart("images: {FBSD-JAIL: " + dir + "}")
	if plan := r.must("boot", "-n", v); !strings.Contains(plan, "mount the host's "+dir+"/usr on /usr") {
		t.Errorf("plan:\n%s", plan)
	}
	r.must("boot", v)
	r.await("the image's /etc/shells", func() error { // the jail reboots first: its aliases are new to the host
		if out := r.jailsetup("enter", "-T", v, "cat", "/etc/shells"); !strings.Contains(out.stdout, "# of the image") {
			return fmt.Errorf("enter says %q %s", out.stdout, out.stderr)
		}
		return nil
	})
	r.must("kill", v)

	restart("images: {default: " + dir + "}")
	out = r.jailsetup("boot", v)
	if out.code != 0 || !strings.Contains(out.stderr, "has no tree on this host: the default, "+dir+", is used") {
		t.Errorf("default: exit code %d: %s", out.code, out.stderr)
	}
	r.must("kill", v)
}
