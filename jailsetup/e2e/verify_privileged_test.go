//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
	"emujail/jailsetup/verify"
)

// verified are the rows that verify prints of a jail, and its exit code.
func (r *rig) verified(t *testing.T, vnode string) (map[string]verify.Result, result) {
	t.Helper()
	out := r.jailsetup("verify", "--json", vnode)
	var all struct{ Rows []verify.Result }
	if err := json.Unmarshal([]byte(out.stdout), &all); err != nil {
		t.Fatalf("%v: %v", err, out.err())
	}
	rows := map[string]verify.Result{}
	for _, row := range all.Rows {
		rows[row.Row] = row
	}
	return rows, out
}

// TestVerify: a jail as it is booted holds; with a wall taken away, verify says
// which row fails, and no other; with the wall put back it holds again.
func TestVerify(t *testing.T) {
	r := newRig(t, set{})
	v := r.vnodes[0]
	r.boot(v)
	r.boot(r.vnodes[1])
	before := r.enter(v, "cat", "/proc/mounts", "/proc/sys/kernel/hostname")
	t.Run("a jail in order", func(t *testing.T) {
		rows, out := r.verified(t, v)
		if out.code != 0 || len(rows) != 61 {
			t.Errorf("exit code %d, %d rows: %s", out.code, len(rows), out.stderr)
		}
		for id, row := range rows {
			if row.Outcome == verify.Fail || row.Saw == "" || row.Outcome == verify.Pass && (row.Carrier == "" || row.Side == "") {
				t.Errorf("%s: %+v", id, row)
			}
		}
		for _, id := range []string{"S5", "S14", "S15", "S26", "T15"} {
			if rows[id].Side != "outside and inside" {
				t.Errorf("%s: seen from %s: %s", id, rows[id].Side, rows[id].Saw)
			}
		}
		if after := r.enter(v, "cat", "/proc/mounts", "/proc/sys/kernel/hostname"); after != before {
			t.Errorf("the jail was\n%s\nand is\n%s", before, after)
		}
	})
	t.Run("for people", func(t *testing.T) {
		out := r.jailsetup("verify", "node-a")
		if out.code != 0 || !strings.Contains(out.stdout, "\nS15  pass  outside and inside  /usr is read-only") || !strings.Contains(out.stdout, "\n0 fail, ") {
			t.Errorf("exit code %d:\n%s%s", out.code, out.stdout, out.stderr)
		}
	})
	for _, c := range []struct {
		name       string
		rows       []string // that fail
		away, back func(t *testing.T)
	}{
		{"/usr is writable at another place", []string{"S15", "S16", "T12"},
			func(t *testing.T) { r.attach(t, v, "/usr", "/mnt") }, func(t *testing.T) { r.detach(t, v, "/mnt") }},
		{"a directory is lent with its devices", []string{"S16"},
			func(t *testing.T) { r.attachMapped(t, v, r.store(), "/mnt", unix.MOUNT_ATTR_NOSUID) }, func(t *testing.T) { r.detach(t, v, "/mnt") }},
		{"more processes than may be", []string{"S23", "T16"},
			func(t *testing.T) { r.setPIDs(t, v, "max") }, func(t *testing.T) { r.setPIDs(t, v, "512") }},
		{"another limit of core dumps", []string{"T13"},
			func(t *testing.T) { r.setCores(t, v, 0) }, func(t *testing.T) { r.setCores(t, v, 1) }},
		{"no filter on the control network", []string{"S2", "S30", "S6", "T17"},
			func(t *testing.T) { r.dropTables(t) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.away(t)
			rows, out := r.verified(t, v)
			var failed []string
			for id, row := range rows {
				if row.Outcome == verify.Fail {
					failed = append(failed, id)
				}
			}
			slices.Sort(failed)
			if !slices.Equal(failed, c.rows) || out.code != 1 {
				t.Errorf("exit code %d, rows that fail %v, want %v", out.code, failed, c.rows)
			}
			if c.back != nil {
				c.back(t)
				if _, out := r.verified(t, v); out.code != 0 {
					t.Errorf("put back: %v", out.err())
				}
			}
		})
	}
	t.Run("a jail that is halted", func(t *testing.T) {
		r.must("halt", r.vnodes[1])
		if out := r.jailsetup("verify", r.vnodes[1]); out.code != 1 || !strings.Contains(out.complaint(), "is halted") {
			t.Errorf("exit code %d: %s", out.code, out.stderr)
		}
	})
}

// setPIDs sets the jail's limit of processes, wherever the host has it.
func (r *rig) setPIDs(t *testing.T, vnode, most string) {
	t.Helper()
	for _, dir := range append([]string{cgroupDir(vnode)}, filepath.Join("/sys/fs/cgroup/pids/emulab", vnode)) {
		path := filepath.Join(dir, "pids.max")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, []byte(most), 0); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the jail has no limit of processes")
}

// setCores sets the soft limit of core dumps of the jail's first process, as its
// root's id outside: nobody else on this host may.
func (r *rig) setCores(t *testing.T, vnode string, bytes int) {
	t.Helper()
	j := r.phase(vnode, jail.Up)
	base := strconv.Itoa(j.IDBase)
	out, err := exec.Command("setpriv", "--reuid", base, "--regid", base, "--clear-groups",
		"prlimit", "--pid", strconv.Itoa(j.PID), fmt.Sprintf("--core=%d:1", bytes)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// dropTables takes the filters of the control network away.
func (r *rig) dropTables(t *testing.T) {
	t.Helper()
	ns, err := os.Open(r.path("run/netns/control"))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	conn, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := conn.ListTables()
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v: %v", tables, err)
	}
	for _, table := range tables {
		conn.DelTable(table)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyBits: walls that only some jails have. Of one that may capture and
// not set up links, what keeps captures from sending is taken away; of one that
// shares the host's address, what keeps it to its ports.
func TestVerifyBits(t *testing.T) {
	t.Run("S11 S12 capture", func(t *testing.T) {
		r := newRig(t, set{plain: true, noServe: true, noMock: true})
		v := r.vnodes[0]
		r.edit("site.yaml", "boss: "+netip.AddrPortFrom(r.host, tmcdPort).String(), "boss: "+netip.AddrPortFrom(r.host, relayPort).String())
		r.startServe()
		r.startMock()
		stop := r.startRelay(map[string]map[string]string{v: {"ROUTING": "0", "IPFW": "0", "INETRAW": "0", "BPFRO": "1"}})
		defer stop()
		r.must("boot", v)
		rows, _ := r.verified(t, v)
		if rows["S11"].Outcome != verify.Pass || rows["S12"].Outcome != verify.Pass {
			t.Errorf("in order: %+v, %+v", rows["S11"], rows["S12"])
		}
		inside, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", r.phase(v, jail.Up).PID))
		if err != nil {
			t.Fatal(err)
		}
		defer inside.Close()
		for _, row := range []struct {
			forwards string
			want     verify.Outcome
		}{{"1", verify.Fail}, {"0", verify.Pass}} {
			err := network.In(inside, func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/lo/forwarding", []byte(row.forwards), 0) })
			if err != nil {
				t.Fatal(err)
			}
			if rows, _ := r.verified(t, v); rows["S11"].Outcome != row.want {
				t.Errorf("lo forwards: %s: %+v", row.forwards, rows["S11"])
			}
		}
		ns, err := os.Open(r.path("run/netns/control"))
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		if err := network.In(ns, dropIngress); err != nil {
			t.Fatal(err)
		}
		if rows, _ := r.verified(t, v); rows["S11"].Outcome != verify.Fail {
			t.Errorf("taken away: %+v", rows["S11"])
		}
	})
	t.Run("S9 ports", func(t *testing.T) {
		r := newSharedRig(t)
		v := r.vnodes[0]
		r.boot(v)
		rows, out := r.verified(t, v)
		if rows["S9"].Outcome != verify.Pass || out.code != 0 {
			t.Errorf("in order: %+v; %s", rows["S9"], out.stdout)
		}
		r.dropBindPrograms(t, v)
		if rows, _ := r.verified(t, v); rows["S9"].Outcome != verify.Fail {
			t.Errorf("taken away: %+v", rows["S9"])
		}
	})
}

// dropIngress takes what judges arriving frames from every link of the thread's
// network namespace.
func dropIngress() error {
	links, err := netlink.LinkList()
	for _, l := range links {
		qdiscs, listErr := netlink.QdiscList(l)
		err = errors.Join(err, listErr)
		for _, q := range qdiscs {
			if q.Type() == "clsact" {
				err = errors.Join(err, netlink.QdiscDel(q))
			}
		}
	}
	return err
}
