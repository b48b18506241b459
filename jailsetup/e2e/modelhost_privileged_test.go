//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/leftover"
)

// modelHost is the host of the model's test: five vnodes of three experiments,
// every kind of link that leaves a record of its own among them.
type modelHost struct {
	*rig
	// own holds, by vnode, what its jail alone has on the host: up, and halted.
	own  map[string]holding
	base leftover.Listing // without jails
}

// holding is what one jail has on the host.
type holding struct{ up, down leftover.Listing }

// modelTestbed: a and b are on a LAN, a's end of it shaped by tmcd; b and c on a
// VLAN; d and e share the host's address, d with a LAN. LANs go on at a peer. What
// stands behind @a: is there if a is in its experiment.
const modelTestbed = `
site: {domain: emulab.test, boss: boss.emulab.test, boss_ip: @HOST@, ops: ops.emulab.test, ops_ip: @HOST@, fs: fs.emulab.test,
  event_server: event-server.emulab.test, gateway: @HOST@}
projects: {jails: {name: Jails, head: alice, gid: 6001}}
users:
  alice: {name: Alice Able, uid: 10001, groups: {jails: project_root}}
experiments:
  jails/demo:
    creator: alice
    mounts: none
    idx: 100
    lans:
      lan0: {members: {@a:node-a: 10.1.1.2, @b:node-b: 10.1.1.3}}
      lan1: {kind: vlan, iface: eth3, vlan: 500, members: {@b:node-b: 10.1.2.3, @c:node-c: 10.1.2.4}}
  jails/two:
    creator: alice
    mounts: none
    ports: [31000, 31255]
    lans:
      lan0: {members: {@d:node-a: 10.2.1.2}}
  jails/three: {creator: alice, mounts: none, ports: [32000, 32255]}
hosts:
  pc1: {ip: @HOST@, role: virthost, interfaces: {eth3: {}}}
rows:
  vlans:
    - {eid: demo, pid: jails, exptidx: 100, id: 500, members: "pc1:eth3", stack: Experimental, tag: 267, virtual: lan1}
  lans:
    - {eid: demo, pid: jails, exptidx: 100, lanid: 500, type: vlan, vidx: 2, vname: lan1}
  lan_attributes:
    - {attrkey: stack, attrtype: string, attrvalue: Experimental, lanid: 500}
  linkdelays:
    - {node_id: pc1, iface: eth2, ip: 10.1.1.2, netmask: 255.255.255.0, type: duplex, exptidx: 100, eid: demo, pid: jails, vlan: lan0,
       vnode: node-a, pipe: 100, delay: "20.00", bandwidth: 100000, lossrate: "0.00000000",
       rpipe: 110, rdelay: "10.00", rbandwidth: 0, rlossrate: "0.00000000"}
`

// modelVNodes are the lines of the vnodes; a free one loses its experiment.
var modelVNodes = [...]struct{ name, experiment, rest string }{
	{"a", "jails/demo, name: node-a", "jail: {ip: @NET@.1}"},
	{"b", "jails/demo, name: node-b", "jail: {ip: @NET@.2}"},
	{"c", "jails/demo, name: node-c", "jail: {ip: @NET@.3}"},
	{"d", "jails/two, name: node-a", "sshdport: 31001"},
	{"e", "jails/three, name: node-a", "sshdport: 32001"},
}

// newModelHost sets the host up and learns what each of its jails has on it.
func newModelHost(t *testing.T) *modelHost {
	t.Helper()
	h := &modelHost{rig: newRig(t, set{
		noServe: true, noMock: true,
		site: "peers: [10.254.0.9]\ngrace: 100ms\ntmcd_timeout: 5s",
	})}
	h.vnodes = nil
	for _, v := range modelVNodes {
		h.vnodes = append(h.vnodes, fmt.Sprintf("%s-%s-%s", runKey(), filepath.Base(h.dir), v.name))
	}
	h.list(h.vnodes)
	// A file system of its own: it can be full without anybody else's harm.
	if err := os.RemoveAll(h.state()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", h.state(), "tmpfs", 0, "size=600m,nr_inodes=2000,mode=700"); err != nil {
		t.Fatal(err)
	}
	h.diskMounted = true
	h.startServe()
	h.startMock()
	h.learn()
	return h
}

// list writes the testbed in which these vnodes are in their experiments, the
// others free.
func (h *modelHost) list(vnodes []string) {
	h.t.Helper()
	text := modelTestbed + "vnodes:\n"
	for i, v := range modelVNodes {
		line, mark := "host: pc1, "+v.rest, regexp.MustCompile("@"+v.name+":[^,}]*,?")
		if slices.Contains(vnodes, h.vnodes[i]) {
			line = "host: pc1, experiment: " + v.experiment + ", " + v.rest
			mark = regexp.MustCompile("@" + v.name + ":")
		}
		text = mark.ReplaceAllString(text, "")
		text += fmt.Sprintf("  %s: {%s}\n", h.vnodes[i], line)
	}
	h.writeTestbed(text)
}

// relist has tmcd allocate these vnodes and no others.
func (h *modelHost) relist(vnodes []string) error {
	h.list(vnodes)
	return h.run("tmcd-mock", "reload", "--manage", h.path("mock")).err()
}

// learn boots, halts and kills each jail alone.
func (h *modelHost) learn() {
	h.t.Helper()
	h.own = map[string]holding{}
	h.must("boot", h.vnodes[0]) // the template is made
	h.must("kill", h.vnodes[0])
	h.base = h.settled()
	for _, v := range h.vnodes {
		var own holding
		h.must("boot", v)
		own.up = without(h.settled(), h.base)
		h.must("halt", v)
		own.down = without(h.settled(), h.base)
		h.must("kill", v)
		if err := h.base.Diff(h.settled()); err != nil {
			h.t.Fatalf("%s, alone, left:\n%v", v, err)
		}
		for _, kind := range []string{"cgroups", "loop devices", "network", "files"} {
			if len(own.up[kind]) == 0 {
				h.t.Fatalf("%s has no %s: they aren't looked at", v, kind)
			}
		}
		h.own[v] = own
	}
}

// settled lists the host once nothing changes any more.
func (h *modelHost) settled() leftover.Listing {
	h.t.Helper()
	last, err := h.holdings()
	if err == nil {
		err = until(waitTimeout, func() error {
			now, err := h.holdings()
			if err == nil {
				err = errors.Join(last.Diff(now), now.Diff(last))
			}
			last = now
			return err
		})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return last
}

// record reads a vnode's record as it is on disk, by another way than list's.
func (h *modelHost) record(vnode string) (jail.Record, error) {
	return jail.Site{State: h.state()}.Load(vnode)
}

// fill leaves no block, or no inode, of the state directory's file system.
func (h *modelHost) fill(blocks bool) error {
	dir := filepath.Join(h.state(), ".fill")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if blocks {
		f, err := os.Create(filepath.Join(dir, "blocks"))
		if err != nil {
			return err
		}
		defer f.Close()
		var st unix.Statfs_t
		for size := int64(64 << 20); size >= 4096; {
			if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
				return err
			}
			size = min(size, int64(st.Bavail)*st.Bsize)
			at, err := f.Seek(0, 2)
			if err == nil && size > 0 {
				err = unix.Fallocate(int(f.Fd()), 0, at, size)
			}
			if err != nil && !errors.Is(err, unix.ENOSPC) {
				return err
			}
			size /= 2
		}
		return nil
	}
	for n := 0; ; n++ {
		err := os.Mkdir(filepath.Join(dir, fmt.Sprint(n)), 0o700)
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (h *modelHost) empty() error { return os.RemoveAll(filepath.Join(h.state(), ".fill")) }

// killNamed kills -9 the processes of ours of that name.
func (h *modelHost) killNamed(name string) {
	n := 0
	for pid := h.ours(name); pid != 0 && n < 10; pid = h.ours(name) {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
		if err := until(waitTimeout, func() error {
			if now := h.ours(name); now == pid {
				return fmt.Errorf("%s %d goes on", name, pid)
			}
			return nil
		}); err != nil {
			h.t.Fatal(err)
		}
		if strings.HasPrefix(name, "delaynode") {
			return // another one comes
		}
	}
}

// cleanUp makes the host one without jails, from whatever it is.
func (h *modelHost) cleanUp() error {
	errs := []error{h.empty(), h.run("tmcd-mock", "fault", "clear", "--manage", h.path("mock")).err(), h.relist(h.vnodes)}
	select {
	case <-h.serve.ended:
		h.startServe()
	default:
	}
	for _, v := range h.vnodes {
		errs = append(errs, h.jailsetup("kill", v).err())
	}
	return errors.Join(errs...)
}
