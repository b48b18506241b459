//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"emujail/jailsetup/check"
	"emujail/jailsetup/supervise"
)

// TestDoctorJails: before booting many jails, an operator hears which wall they
// would meet; and what a jail takes is no more than the doctor reckons with.
func TestDoctorJails(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	// Room for some jails and a good half: what all share isn't as much as that half.
	r.ownDisk("820m")
	r.startServe()
	r.startMock()
	walls := func(jails int) (map[string]check.Wall, result) {
		out := r.jailsetup("doctor", "--json", "--jails", strconv.Itoa(jails))
		var said struct{ Walls []check.Wall }
		if err := json.Unmarshal([]byte(out.stdout), &said); err != nil {
			t.Fatalf("%v: %s", err, out.stdout)
		}
		byName := map[string]check.Wall{}
		for _, w := range said.Walls {
			byName[w.Name] = w
		}
		return byName, out
	}
	descriptors := func() int {
		var info supervise.Info
		if err := json.Unmarshal([]byte(r.must("info", "--json")), &info); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", info.PID))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	reckoned, out := walls(2)
	if out.code != 0 {
		t.Errorf("two jails: %v", out.err())
	}
	if _, out := walls(100_000); out.code != 3 || !strings.Contains(out.stderr, "this host holds ") {
		t.Errorf("100,000 jails: exit code %d: %s", out.code, out.stderr)
	}
	r.boot(r.vnodes[0])
	r.await("the next jail's disk, made ahead", func() error { // until then it is open
		if made, err := filepath.Glob(filepath.Join(r.state(), ".templates/spare/*.img")); err != nil || len(made) != 1 {
			return fmt.Errorf("%v, %v", made, err)
		}
		return nil
	})
	before := descriptors()
	r.boot(r.vnodes[1])
	r.await("the supervisor to close what only the boot needed", func() error {
		if got, most := descriptors()-before, reckoned["open files of the supervisor"].PerJail; int64(got) > most {
			return fmt.Errorf("a jail takes %d descriptors, reckoned were %d", got, most)
		}
		return nil
	})
	dirs, err := filepath.Glob("/sys/fs/cgroup/*/emulab/" + r.vnodes[1] + "/pids.current")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no pids.current: %v", err)
	}
	r.await("the jail to have configured itself", func() error { // until then it has more
		text, err := os.ReadFile(dirs[0])
		if err != nil {
			return err
		}
		got, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if most := reckoned["process ids"].PerJail; err == nil && int64(got) > most {
			err = fmt.Errorf("it takes %d threads, reckoned were %d", got, most)
		}
		return err
	})
	now, _ := walls(2)
	if a, b := reckoned["disk"].Fits, now["disk"].Fits; a != b {
		t.Errorf("disks fit for %d jails, and for %d once two are there", a, b)
	}
}

// TestDoctorNobody: who isn't root hears that, and nothing of kernels.
func TestDoctorNobody(t *testing.T) {
	r := newRig(t, set{noServe: true, noMock: true})
	out := r.asNobody("doctor")
	if out.code != supervise.CodeHostLacks || strings.Count(out.stdout, "\n") != 1 || !strings.Contains(out.stdout, "run it as root") {
		t.Errorf("exit code %d: %s%s", out.code, out.stdout, out.stderr)
	}
}
