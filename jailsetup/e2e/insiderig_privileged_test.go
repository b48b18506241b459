//go:build linux && privileged

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/injail/summary"
)

// experimenters is a testbed in which people do something: two experiments,
// accounts, software, programs, traffic.
const experimenters = `
site: {domain: emulab.test, boss: boss.emulab.test, boss_ip: @HOST@, ops: ops.emulab.test, ops_ip: @HOST@, fs: fs.emulab.test,
  event_server: event-server.emulab.test, gateway: @HOST@}
web: "@HOST@:8088"
projects: {jails: {name: Jails, head: alice, gid: 6001}}
users:
  alice: {name: Alice Able, uid: 10001, shell: bash, password: "@PASSWORD@", keys: ["@ALICE_KEY@"], groups: {jails: project_root}}
  bob: {name: Bob Baker, uid: 10002, shell: bash, keys: ["@BOB_KEY@"], groups: {jails: user}}
experiments:
  jails/demo:
    creator: alice
    swapper: alice
    sync_server: node-a
    keyhash: 5f4dcc3b5aa765d61d8327deb882cf99
    eventkey: 9e107d9d372bb6826bd81d3542a419d6
    mounts: none
    environment: {COLOR: blue}
    lans:
      lan0: {mask: 255.255.255.0, members: {node-a: 10.1.1.2, node-b: 10.1.1.3}}
    programs:
      prog0: {node: node-a, command: "echo $COLOR $(id -un) $(pwd)", dir: /tmp, timeout: 60}
      prog1: {node: node-b, command: "sleep 600"}
    traffic:
      cbr0: {node: node-a, role: source, proto: udp, ip: 10.1.1.2, port: 5001, peer: null0}
      null0: {node: node-b, role: sink, proto: udp, ip: 10.1.1.3, port: 5002, peer: cbr0}
      cbr1: {node: node-a, role: source, proto: tcp, ip: 10.1.1.2, port: 5003, peer: null1}
      null1: {node: node-b, role: sink, proto: tcp, ip: 10.1.1.3, port: 5004, peer: cbr1}
    event_groups: {sources: [cbr0, cbr1]}
  jails/other:
    creator: bob
    swapper: bob
    keyhash: 6f4dcc3b5aa765d61d8327deb882cf99
    eventkey: 9e107d9d372bb6826bd81d3542a419d6 # the same: what keeps them apart is not the key
    mounts: none
    lans:
      lan0: {mask: 255.255.255.0, members: {node-c: 10.1.1.4}}
    traffic:
      cbr0: {node: node-c, role: source, proto: udp, ip: 10.1.1.4, port: 5001, peer: null0}
      null0: {node: node-c, role: sink, proto: udp, ip: 10.1.1.4, port: 5002, peer: cbr0}
hosts:
  pc1: {ip: @HOST@, experiment: jails/demo, name: vhost-0, role: virthost}
  pc2: {ip: 10.255.0.2, role: virthost}
vnodes:
  @V1@:
    {host: pc1, experiment: jails/demo, name: node-a, sshdport: 30001, jail: {ip: @NET@.1},
     tarballs: {/opt: /proj/jails/tools.tar.gz}, startup: "echo started > /tmp/started"}
  @V2@: {host: pc1, experiment: jails/demo, name: node-b, sshdport: 30002, jail: {ip: @NET@.2}}
  @FREE@: {host: pc1, experiment: jails/other, name: node-c, sshdport: 30003, jail: {ip: @NET@.3}}
  @FOREIGN@: {host: pc2, sshdport: 30004, jail: {ip: 172.16.2.1}}
`

// alicesPassword is for sudo and su, which ask for one.
const alicesPassword = "correct horse"

// inside is a rig whose jails people use.
type inside struct {
	*rig
	a, b, c string        // node-a and node-b of jails/demo, node-c of jails/other
	text    string        // the testbed, but for vnodes and addresses
	later   time.Duration // by which files have been made newer
}

// newInside makes one, with keys of alice's and bob's and a tarball. What
// change does to the testbed's text is for the test.
func newInside(t *testing.T, change func(string) string) *inside {
	t.Helper()
	keys := t.TempDir()
	text := experimenters
	for _, user := range []string{"alice", "bob"} {
		key := filepath.Join(keys, user)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		public, err := os.ReadFile(key + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "@"+strings.ToUpper(user)+"_KEY@", strings.TrimSpace(string(public)))
	}
	hash, err := exec.Command("openssl", "passwd", "-6", alicesPassword).Output()
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "@PASSWORD@", strings.TrimSpace(string(hash)))
	if change != nil {
		text = change(text)
	}
	r := newRig(t, set{base: text, web: true})
	i := &inside{rig: r, a: r.vnodes[0], b: r.vnodes[1], c: r.free, text: text}
	i.tarball("tools.tar.gz", map[string]string{"tools/hello": "hello\n"})
	for _, user := range []string{"alice", "bob"} {
		if err := os.Rename(filepath.Join(keys, user), r.path(user)); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// tarball puts an archive where the web server finds it, if that runs.
func (i *inside) tarball(name string, files map[string]string) string {
	i.t.Helper()
	tree := i.t.TempDir()
	for path, text := range files {
		file := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			i.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			i.t.Fatal(err)
		}
	}
	to := filepath.Join(i.path("web"), "proj/jails", name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		i.t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-czf", to, "-C", tree, ".").CombinedOutput(); err != nil {
		i.t.Fatalf("tar: %v: %s", err, out)
	}
	return to
}

// change writes the testbed anew and has tmcd read it.
func (i *inside) change(f func(string) string) {
	i.t.Helper()
	i.text = f(i.text)
	i.writeTestbed(i.text)
	if out := i.run("tmcd-mock", "reload", "--manage", i.path("mock")); out.code != 0 {
		i.t.Fatal(out.err())
	}
}

// ssh logs in from the host, as a user with a key, and runs a command line.
func (i *inside) ssh(user, vnode, line string) result {
	i.t.Helper()
	j, ok := i.info(vnode)
	if !ok {
		i.t.Fatalf("no jail %s", vnode)
	}
	cmd := exec.Command("ssh", "-i", i.path(user), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", user+"@"+j.Address, line)
	return i.finish(cmd)
}

// as runs a command line in a jail, as a user.
func (i *inside) as(user, vnode, line string) result {
	i.t.Helper()
	return i.jailsetup("enter", "-T", "-u", user, vnode, "sh", "-c", line)
}

// says runs a command line in a jail, as root, and returns its output.
func (i *inside) says(vnode, line string) string {
	i.t.Helper()
	return i.enter(vnode, "sh", "-c", line)
}

// summaryOf reads what the jail's configuration came to: boot or refresh.
func (i *inside) summaryOf(vnode, action string) *summary.Summary {
	i.t.Helper()
	s, err := summary.Read([]byte(i.enter(vnode, "cat", "/var/emulab/logs/"+action+".json")))
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

// step is one step of a summary.
func step(t *testing.T, s *summary.Summary, name string) summary.Result {
	t.Helper()
	for _, r := range s.Steps {
		if r.Step == name {
			return r
		}
	}
	t.Fatalf("no step %s in %s", name, s.Text())
	return summary.Result{}
}

// device reads a counter of an interface, and the jail's clock, together.
func (i *inside) device(vnode, name, counter string) (n int64, at time.Duration) {
	i.t.Helper()
	out := i.enter(vnode, "cat", "/sys/class/net/"+name+"/statistics/"+counter, "/proc/uptime")
	var seconds float64
	if _, err := fmt.Sscan(out, &n, &seconds); err != nil {
		i.t.Fatalf("%q: %v", out, err)
	}
	return n, time.Duration(seconds * float64(time.Second))
}

// asked counts what tmcd was asked, by command.
func (i *inside) asked(vnode string) map[string]int {
	i.t.Helper()
	out := i.run("tmcd-mock", "log", "--json", "--manage", i.path("mock"))
	if out.code != 0 {
		i.t.Fatal(out.err())
	}
	counts := map[string]int{}
	for line := range strings.Lines(out.stdout) {
		var e struct{ Node, Command, Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			i.t.Fatalf("%q: %v", line, err)
		}
		if e.Node == vnode && e.Command != "" {
			counts[e.Command]++
		}
	}
	return counts
}

// fault makes tmcd-mock cause trouble.
func (i *inside) fault(words ...string) {
	i.t.Helper()
	if out := i.run("tmcd-mock", append([]string{"fault", "add", "--manage", i.path("mock")}, words...)...); out.code != 0 {
		i.t.Fatal(out.err())
	}
}

func (i *inside) noFaults() {
	i.t.Helper()
	if out := i.run("tmcd-mock", "fault", "clear", "--manage", i.path("mock")); out.code != 0 {
		i.t.Fatal(out.err())
	}
}
