//go:build linux && privileged

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newRecordedRig is a host of the testbed that the specification's exchanges
// were recorded from: pc1, or another whose address is given. Its vnodes have
// names of their own, the rest is as it was.
func newRecordedRig(t *testing.T, hostIP, site string) *rig {
	t.Helper()
	r := newRig(t, set{noMock: true, noServe: true, site: site})
	text, err := os.ReadFile("../../testdata/vectors/testbed.json")
	if err != nil {
		t.Fatal(err)
	}
	three := strings.TrimSuffix(r.host.String(), ".0")
	r.vnodes = nil
	words := []string{`"` + hostIP + `"`, `"` + r.host.String() + `"`, "172.17.1.", three + ".", "172.20.1.", three + "."}
	for _, id := range []string{"pcvm1-1", "pcvm1-2", "pcvm1-3", "pcvwa1-1"} {
		own := runKey() + "-" + filepath.Base(r.dir) + "-" + id
		r.vnodes = append(r.vnodes, own)
		words = append(words, `"`+id+`"`, `"`+own+`"`)
	}
	r.write("testbed.yaml", strings.NewReplacer(words...).Replace(string(text)))
	r.startServe()
	r.startMock()
	return r
}

// pings sends to an address from inside, through the experiment.
func (r *rig) pings(vnode, addr string) bool {
	r.t.Helper()
	return r.jailsetup("enter", "-T", vnode, "ping", "-c", "3", "-i", "0.2", "-W", "1", addr).code == 0
}

// The recorded experiment: three nodes on a LAN, two links, one of them a VLAN,
// a further address, a tunnel, and routing of three kinds.
func TestRecordedExperiment(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.1", "tolerate: [gre]")
	a, b, c := r.vnodes[0], r.vnodes[1], r.vnodes[2]
	boot := r.jailsetup("boot", a)
	if boot.code != 0 {
		t.Fatalf("%v\n%s", boot.err(), r.logs())
	}
	r.must("boot", b)
	r.must("boot", c)
	r.await("the alias, by a second boot", func() error {
		if got := r.jailsetup("enter", "-T", a, "ip", "address").stdout; !strings.Contains(got, "10.1.1.22/24") {
			return fmt.Errorf("interfaces are\n%s", got)
		}
		return nil
	})

	t.Run("what is missing is said", func(t *testing.T) {
		if all := boot.stdout + boot.stderr; !strings.Contains(all, "not provided: tunnel tun-ab (gre)") {
			t.Errorf("the boot says %q", all)
		}
		if conf := r.enter(a, "cat", "/run/emulab/jail.conf"); !strings.Contains(conf, `NOTPROVIDED="tunnel tun-ab (gre)"`) {
			t.Errorf("jail.conf says\n%s", conf)
		}
	})
	t.Run("interfaces", func(t *testing.T) {
		for _, row := range []struct{ vnode, dev, want string }{
			{a, "eth1", "10.1.1.2/24"}, {a, "eth1", "10.1.1.22/24"}, {a, "eth1", "02:0a:01:01:02:01"}, {a, "eth2", "10.1.2.2/24"},
			{c, "eth1", "10.1.4.4/24"}, {c, "eth2", "10.1.1.4/24"}, {c, "eth3", "10.1.3.3/24"},
		} {
			if got := r.enter(row.vnode, "ip", "address", "show", "dev", row.dev); !strings.Contains(got, row.want) {
				t.Errorf("%s of %s lacks %s:\n%s", row.dev, row.vnode, row.want, got)
			}
		}
	})
	t.Run("routes", func(t *testing.T) {
		for _, row := range []struct{ name, vnode, want string }{
			{"static", a, "10.1.3.0/24 via 10.1.1.3 dev eth1"}, {"static, another way", a, "10.1.3.3 via 10.1.1.4 dev eth1"},
			{"manual", b, "10.9.0.0/16 via 10.1.3.3"}, {"manual, to a host", b, "10.1.4.4 via 10.1.3.3"},
			{"static-ddijk", c, "10.1.2.0/24 via 10.1.1.2"},
		} {
			if got := r.enter(row.vnode, "ip", "route"); !strings.Contains(got, row.want) {
				t.Errorf("%s lacks %q:\n%s", row.name, row.want, got)
			}
		}
	})
	t.Run("packets arrive", func(t *testing.T) {
		for _, row := range []struct{ name, from, to string }{
			{"on the LAN", a, "10.1.1.3"}, {"on the link", a, "10.1.2.3"}, {"on the VLAN", b, "10.1.3.3"},
			{"a further address", b, "10.1.1.22"}, {"by a route", a, "10.1.3.2"}, {"by a route to a host", a, "10.1.3.3"},
			{"back", c, "10.1.2.2"}, {"a loop", b, "10.1.4.4"},
		} {
			if !r.pings(row.from, row.to) {
				t.Errorf("%s: no answer from %s", row.name, row.to)
			}
		}
	})
}

// bootsAgain waits for the second boot, which an alias makes of a vnode's first.
func (r *rig) bootsAgain(vnode string) {
	r.t.Helper()
	r.await(vnode+" to boot again, with its alias", func() error {
		out := r.jailsetup("enter", "-T", vnode, "grep", "asked", "/run/emulab/jail.conf")
		if out.code != 0 {
			return errors.New(out.stderr)
		}
		return nil
	})
}

// A testbed that keeps no map: the same routes, from the host names.
func TestRoutesWithoutMap(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.1", "tolerate: [gre]")
	r.edit("testbed.yaml", "jaildemo/topomap.gz", "jaildemo/another.gz")
	r.mock.kill()
	r.startMock()
	a := r.vnodes[0]
	r.must("boot", a)
	r.bootsAgain(a)
	got := r.enter(a, "ip", "route")
	for _, want := range []string{"10.1.3.0/24 via 10.1.1.3 dev eth1", "10.1.3.3 via 10.1.1.4 dev eth1"} {
		if !strings.Contains(got, want) {
			t.Errorf("routes lack %q:\n%s", want, got)
		}
	}
}

// Without a word of the site file about tunnels the vnode doesn't boot, and tmcd
// hears of it.
func TestTunnelNotProvided(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.1", "")
	out := r.jailsetup("boot", r.vnodes[0])
	if out.code != 1 || !strings.Contains(out.stderr, "tunnel tun-ab (gre) is not provided") || !strings.Contains(out.stderr, "tolerate: [gre]") {
		t.Errorf("exit code %d: %s", out.code, out.stderr)
	}
	r.reports(r.vnodes[0], "TBFAILED")
}

// Both ends on this host: the tunnel is a LAN of two.
func TestTunnelCarried(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.1", "tunnels: vxlan")
	a, b := r.vnodes[0], r.vnodes[1]
	r.must("boot", a)
	r.must("boot", b)
	r.bootsAgain(a)
	if got := r.enter(a, "ip", "address", "show", "dev", "eth3"); !strings.Contains(got, "10.1.5.2/24") || !strings.Contains(got, "02:0a:01:05:02:01") {
		t.Errorf("eth3: %s", got)
	}
	if !r.pings(a, "10.1.5.3") {
		t.Error("the tunnel's other end doesn't answer")
	}
}

// The recorded remote vnode boots through its host's certificate, and without
// the certificate doesn't.
func TestRecordedRemote(t *testing.T) {
	r := newRecordedRig(t, "127.0.0.11", "remote: true\ntolerate: [vtun]")
	v := r.vnodes[3]
	r.must("boot", v)
	if got := r.enter(v, "tmcc", "status"); !strings.Contains(got, "wademo") {
		t.Errorf("tmcc status says %q", got)
	}
	if got := r.enter(v, "sh", "-c", "ls -d /local/*; grep -c ' /local/testbed .*idmapped' /proc/self/mountinfo; grep -c '/proj/\\|/users/' /proc/self/mountinfo; true"); got != "/local/logs\n/local/testbed\n1\n0\n" {
		t.Errorf("project's local store, and no directory of tmcd's mounts: %q", got)
	}
	for _, row := range []struct{ name, want string }{{"ROUTING=0: links are the host's", "Operation not permitted"}} {
		if out := r.jailsetup("enter", "-T", v, "ip", "link", "set", "lo", "down"); !strings.Contains(out.stdout+out.stderr, row.want) {
			t.Errorf("%s: %q", row.name, out.stdout+out.stderr)
		}
	}
	r.must("kill", v)
	r.must("stop")

	dir := strings.TrimPrefix(strings.SplitN(r.read("site.yaml"), "\n", 3)[1], "certificates: ")
	plain := strings.Replace(r.read("site.yaml"), "certificates: "+dir+"\n", "", 1)
	r.write("plain.yaml", plain)
	out := r.run("jailsetup", "--site", r.path("plain.yaml"), "boot", v)
	if out.code == 0 || !strings.Contains(out.stderr, "a remote host asks tmcd by TLS alone") {
		t.Errorf("no certificates: exit code %d: %s", out.code, out.stderr)
	}
}

func (r *rig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
