//go:build linux && privileged

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// withSite runs its arguments where /etc has the site file and nothing else: the
// old names are told of none.
const withSite = `mount -t tmpfs none /etc && mkdir /etc/emulab && ln -s "$0" /etc/emulab/jailsetup.yaml && exec "$@"`

// old runs jailsetup by one of its old names, as boss and a host's boot scripts do.
func (r *rig) old(name string, args ...string) result {
	r.t.Helper()
	link := r.path(name)
	if _, err := os.Lstat(link); err != nil {
		if err := os.Symlink(program("jailsetup"), link); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", withSite, r.path("site.yaml"), link}, args...)...)
	cmd.WaitDelay = verbTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return r.finish(cmd)
}

// mustOld is old with an exit code that has to be, and a word that it has to say.
func (r *rig) mustOld(code int, says, name string, args ...string) {
	r.t.Helper()
	out := r.old(name, args...)
	if out.code != code || !strings.Contains(out.stderr, says) || says == "" && out.stderr != "" {
		r.t.Fatalf("%s %s: exit code %d, want %d and %q: %s\n%s", name, strings.Join(args, " "), out.code, code, says, out.stderr, r.logs())
	}
}

// TestVNodeSetup is a vnode's life as boss drives it: `vnodesetup -jVt` with a verb
// or none, and the exit codes that boss reads (jail.md §2.1, §4.1).
func TestVNodeSetup(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms"})
	v := r.vnodes[0]
	do := func(options string) {
		t.Helper()
		r.mustOld(0, "", "vnodesetup", append(strings.Fields(options), v)...)
	}
	kept := func() bool { return r.jailsetup("enter", v, "test", "-e", "/root/kept").code == 0 }
	boots := func(n int) {
		t.Helper()
		if j := r.phase(v, jail.Up); j.Boot != n {
			t.Errorf("boot %d, want %d", j.Boot, n)
		}
		r.reports(v, "ISUP")
	}

	do("-jVt") // set up
	boots(1)
	r.enter(v, "touch", "/root/kept")

	do("-h -jVt") // halt keeps the disk
	r.phase(v, jail.Down)
	r.reports(v, "SHUTDOWN")
	do("-b -jVt") // so does a boot
	boots(2)
	r.mustOld(1, "runs already", "vnodesetup", "-b", "-jVt", v)
	do("-r -jVt") // and a reboot
	boots(3)
	if !kept() {
		t.Error("the disk is another one")
	}

	do("-jVt") // set up anew
	boots(1)
	if kept() {
		t.Error("a fresh set-up has kept the disk")
	}

	do("-k -jVt") // kill
	r.noJailLeft()
	do("-k -jVt") // of nothing is success
	r.mustOld(1, "no such jail", "vnodesetup", "-h", "-jVt", v)
	do("-r -jVt") // a reboot of nothing is a start
	boots(1)

	r.mustOld(99, "not allocated", "vnodesetup", "-jVt", r.free)
	r.mustOld(99, "not allocated", "vnodesetup", "-b", "-jVt", r.free)
	r.mustOld(1, "tmcd says nothing", "vnodesetup", "-jVt", r.foreign)
	r.mustOld(2, "-i: vnodes without a jail are not made here", "vnodesetup", "-i", v)
	r.mustOld(2, "-p: PlanetLab", "vnodesetup", "-p", v)
	r.mustOld(2, "usage: vnodesetup", "vnodesetup", "-jVt")
	r.phase(v, jail.Up)

	r.mustOld(0, "", "vnodesetup", "-k", "-jVt", "node-a") // by its name
	r.noJailLeft()
}

// TestVNodeSetupWedged: boss reads 15 as a host that can't make jails.
func TestVNodeSetupWedged(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	if err := os.RemoveAll(r.state()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", r.state(), "tmpfs", 0, "size=180m,mode=700"); err != nil {
		t.Fatal(err)
	}
	r.diskMounted = true
	r.startServe()
	r.startMock()
	r.mustOld(0, "", "vnodesetup", "-jVt", r.vnodes[0])
	r.mustOld(15, "no room for a disk", "vnodesetup", "-jVt", r.vnodes[1])
}

// TestBootVNodes is a host's boot and its end, by the old name (jail.md §2.1).
func TestBootVNodes(t *testing.T) {
	r := newRig(t, set{site: "grace: 100ms", testbed: moreVNodes})
	a, b, ten := r.vnodes[0], r.vnodes[1], r.vnodes[0]+"0"
	all := []string{a, b, ten, a + "1", a + "2"}
	phases := func(want jail.Phase, vnodes ...string) {
		t.Helper()
		for _, v := range vnodes {
			r.phase(v, want)
		}
	}
	noFaults := func() {
		t.Helper()
		if out := r.run("tmcd-mock", "fault", "clear", "--manage", r.path("mock")); out.code != 0 {
			t.Fatal(out.err())
		}
	}

	r.fault("refuse command=fullconfig node=" + a)
	r.mustOld(1, "1 of 5 vnodes failed: cannot boot "+a, "bootvnodes", "-f")
	phases(jail.Up, all[1:]...) // one that fails doesn't stop the others
	noFaults()

	r.fault("refuse command=vnodelist")
	r.mustOld(1, "nothing was changed", "bootvnodes", "-f")
	phases(jail.Up, all[1:]...)
	r.mustOld(0, "", "bootvnodes", "-f", "-h") // asks for no list, nor do -b and -r
	phases(jail.Down, all[1:]...)
	r.mustOld(0, "", "bootvnodes", "-fb")
	phases(jail.Up, all[1:]...)
	r.mustOld(0, "", "bootvnodes", "-f", "-r")
	if j := r.phase(ten, jail.Up); j.Boot != 3 {
		t.Errorf("rebooted, it is at boot %d", j.Boot)
	}
	r.mustOld(2, "want one of -b, -r, -h, -k at most", "bootvnodes", "-f", "-h", "-k")
	noFaults()

	r.edit("testbed.yaml", "  "+b+": {", "  "+b+": {jailed: false, ")
	if out := r.run("tmcd-mock", "reload", "--manage", r.path("mock")); out.code != 0 {
		t.Fatal(out.err())
	}
	r.mustOld(0, "", "bootvnodes", "-f", "-c", "-h") // kills those that are listed no more, halts the others, boots none
	phases(jail.Down, all[2:]...)
	for _, v := range []string{a, b} {
		if _, there := r.info(v); there {
			t.Errorf("%s is here", v)
		}
	}
	r.mustOld(0, "", "bootvnodes", "-f", "-c")
	phases(jail.Up, a, ten)

	r.mustOld(0, "", "bootvnodes", "-h") // without -f it goes on by itself, and logs
	phases(jail.Down, a, ten)
	r.await("its log", func() error { return has(r.path("state/bootvnodes.debug"), "halt "+ten+": ok\n") })
	r.mustOld(0, "", "bootvnodes", "-f", "-k")
	r.noJailLeft()
}

// moreVNodes are three more of the experiment; their numbers are 10, 11 and 12.
const moreVNodes = `
  @V1@0: {host: pc1, experiment: jails/demo, name: node-10, sshdport: 30010, jail: {ip: @NET@.10}}
  @V1@1: {host: pc1, experiment: jails/demo, name: node-11, sshdport: 30011, jail: {ip: @NET@.11}}
  @V1@2: {host: pc1, experiment: jails/demo, name: node-12, sshdport: 30012, jail: {ip: @NET@.12}}
`

// has tells whether the file has the text.
func has(path, text string) error {
	data, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(data), text) {
		err = &os.PathError{Op: "find " + text, Path: filepath.Base(path), Err: os.ErrNotExist}
	}
	return err
}
