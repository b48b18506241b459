package steps

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// onlyPrograms makes PATH hold programs of these names and sh: each notes its
// arguments below the jail's root and waits.
func (j *jail) onlyPrograms(names ...string) {
	j.tb.Helper()
	dir := j.tb.TempDir()
	for _, name := range names {
		script := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + j.path("/started-"+name) + "\nwhile :; do /bin/sleep 0.1; done\n"
		mustWrite(j.tb, filepath.Join(dir, name), script)
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			j.tb.Fatal(err)
		}
	}
	j.tb.(*testing.T).Setenv("PATH", dir)
}

// started waits until a program of onlyPrograms has started n times, and
// returns its command lines.
func (j *jail) started(name string, n int) []string {
	j.tb.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		text, _ := os.ReadFile(j.path("/started-" + name))
		if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); len(text) > 0 && len(lines) == n {
			slices.Sort(lines)
			return lines
		}
		if time.Now().After(deadline) {
			j.tb.Fatalf("%s started: %q, want %d lines", name, text, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// endAll ends what the steps have started.
func (j *jail) endAll() {
	j.tb.Cleanup(func() {
		if _, err := j.Do(context.Background(), Shutdown); err != nil {
			j.tb.Error(err)
		}
		if left := j.daemons(""); len(left) > 1 || len(left) == 1 && left[0] != "agents" {
			j.tb.Errorf("still there: %q", left)
		}
	})
}

// ownDevice is an interface of this machine with a MAC address.
func ownDevice(tb testing.TB) net.Interface {
	tb.Helper()
	all, err := net.Interfaces()
	if err != nil {
		tb.Fatal(err)
	}
	for _, i := range all {
		if len(i.HardwareAddr) == 6 {
			return i
		}
	}
	tb.Fatal("this machine has no interface with a MAC address")
	return net.Interface{}
}

// TestServices: daemons that the experiment asks for run once, whatever the
// number of boots, and are ended when it doesn't any more.
func TestServices(t *testing.T) {
	dev := ownDevice(t)
	traced := fmt.Sprintf("TRACE LINKNAME=lan0 IDX=1 MAC0=%s MAC1= VNODE=node-a VNODE_MAC= TRACE_TYPE=header TRACE_EXPR='tcp port 80' TRACE_SNAPLEN=\n",
		strings.ReplaceAll(dev.HardwareAddr.String(), ":", ""))
	for _, row := range []struct {
		name, step, command, reply, program string
		lines                               []string // of the program, with the root as @
	}{
		{"sync server here", "syncserver", "syncserver", "SYNCSERVER SERVER='node-a.demo.jails.example.net' ISSERVER=1\n", "emulab-syncd", []string{"-v"}},
		{"OSPF", "route", "routing", "ROUTERTYPE=ospf\n", "bird", []string{"-f -c @/var/emulab/boot/bird.conf -s @/run/injail/bird.ctl"}},
		{"gated is OSPF", "route", "routing", "ROUTERTYPE=gated\n", "bird", []string{"-f -c @/var/emulab/boot/bird.conf -s @/run/injail/bird.ctl"}},
		{"traces, both ways", "trace", "traceinfo", traced, "tcpdump", []string{
			"-n -U -Z root -i " + dev.Name + " -Q in -s 64 -w @/local/logs/trace_node-a-lan0.recv -- tcp port 80",
			"-n -U -Z root -i " + dev.Name + " -Q out -s 64 -w @/local/logs/trace_node-a-lan0.xmit -- tcp port 80"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			j.endAll()
			j.onlyPrograms(row.program)
			j.tmcd.set(row.command, row.reply)
			if r := step(t, j.boot(), row.step); r.Status != OK || len(r.Missing) > 0 {
				t.Fatalf("%+v", r)
			}
			var want []string
			for _, l := range row.lines {
				want = append(want, strings.ReplaceAll(l, "@", j.Root))
			}
			if got := j.started(row.program, len(want)); !slices.Equal(got, want) {
				t.Errorf("started %q, want %q", got, want)
			}
			if r := step(t, j.boot(), row.step); len(r.Changes) > 0 {
				t.Errorf("a second boot: %q", r.Changes)
			}
			j.started(row.program, len(want))
			for _, name := range j.daemons("") {
				if pid, _ := j.daemonPID(name); name != "agents" {
					kill(t, pid)
				}
			}
			if r := step(t, j.boot(), row.step); len(r.Changes) != len(want) || r.Status != OK {
				t.Errorf("after kill -9: %+v", r)
			}
			j.started(row.program, 2*len(want))
			j.tmcd.set(row.command, "")
			if row.command == "routing" {
				j.tmcd.set(row.command, "ROUTERTYPE=none\n")
			}
			if r := step(t, j.boot(), row.step); len(r.Changes) != len(want) {
				t.Errorf("asked for no more: %+v", r)
			}
		})
	}
}

// TestNotProvided: what the experiment asks for and the root hasn't is in the
// summary, in words, and nobody is told that all is well.
func TestNotProvided(t *testing.T) {
	for _, row := range []struct {
		name, step, command, reply string
		status                     Status
		want                       string
	}{
		{"sync server", "syncserver", "syncserver", "SYNCSERVER SERVER='node-a.demo.jails.example.net' ISSERVER=1\n", OK,
			"this node is the sync server, and its root has no emulab-syncd"},
		{"OSPF", "route", "routing", "ROUTERTYPE=ospf\n", Failed, "ROUTERTYPE=ospf: this root has no bird"},
		{"traces", "trace", "traceinfo", "TRACE LINKNAME=lan0 IDX=1 MAC0= MAC1= VNODE=node-a VNODE_MAC= TRACE_TYPE=header TRACE_EXPR='' TRACE_SNAPLEN=\n", Failed,
			"1 traces: this root has no tcpdump"},
		{"another generator", "agents", "trafgens", "TRAFGEN=cbr0 MYNAME=127.0.0.1 MYPORT=9 PEERNAME=127.0.0.1 PEERPORT=10 PROTO=udp ROLE=source GENERATOR=iperf\n", OK,
			"traffic of cbr0, GENERATOR=iperf"},
		{"a simulator", "agents", "trafgens", "TRAFGEN=cbr0 MYNAME=127.0.0.1 MYPORT=9 PEERNAME=127.0.0.1 PEERPORT=10 PROTO=udp ROLE=source GENERATOR=NSE\n", OK,
			"traffic of cbr0, GENERATOR=NSE"},
		{"an image by multicast", "blobs", "blobs", "URL=frisbee://testbed/blob1 ACTION=unpack:/opt\n", Failed, "images by frisbee: frisbee://testbed/blob1"},
		{"a blob to do nothing with", "blobs", "blobs", "URL=http://127.0.0.1:1/blob1 ACTION=nothing\n", Failed, `action "nothing": http://127.0.0.1:1/blob1`},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			j.endAll()
			j.onlyPrograms()
			j.tmcd.set(row.command, row.reply)
			sum := j.boot()
			r := step(t, sum, row.step)
			if r.Status != row.status || !slices.Equal(r.Missing, []string{row.want}) {
				t.Errorf("%+v, want %s and %q", r, row.status, row.want)
			}
			if line := "  not provided: " + row.step + ": " + row.want + "\n"; !strings.Contains(sum.Text(), line) {
				t.Errorf("the summary lacks %q:\n%s", line, sum.Text())
			}
		})
	}
	t.Run("what the host lacks", func(t *testing.T) {
		j := newJail(t)
		j.Conf.NotProvided = "tunnel tun-ab (gre)"
		if text := j.boot().Text(); !strings.Contains(text, "  not provided: tunnel tun-ab (gre)\n") {
			t.Errorf("the summary says\n%s", text)
		}
	})
}

func packed(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// TestTopologyMaps: fetched when the node is configured anew, not at boot; the
// maps of link tests may be missing.
func TestTopologyMaps(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("topomap", packed(t, "# nodes: vname,links\nnode-a,lan0:10.1.1.2\n"))
	if r := step(t, j.boot(), "topomap"); r.Status != Skipped || j.tmcd.count("topomap") != 0 {
		t.Errorf("at boot: %+v", r)
	}
	reconfig := func() Result {
		t.Helper()
		sum, err := j.Do(context.Background(), Reconfig)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Backward(sum.Steps) {
			if r.Step == "topomap" {
				return r
			}
		}
		t.Fatal("no step topomap")
		return Result{}
	}
	if r := reconfig(); r.Status != OK || len(r.Changes) != 1 || len(r.Warnings) != 2 {
		t.Errorf("%+v", r)
	}
	if got := j.read("/var/emulab/boot/topomap"); !strings.Contains(got, "node-a,lan0:10.1.1.2") {
		t.Errorf("topomap is %q", got)
	}
	if r := reconfig(); len(r.Changes) != 0 {
		t.Errorf("a second time: %q", r.Changes)
	}
	j.tmcd.set("topomap", "no gzip")
	if r := reconfig(); r.Status != Failed || !strings.Contains(r.Why, "topomap") {
		t.Errorf("spoilt: %+v", r)
	}
	if got := j.read("/var/emulab/boot/topomap"); !strings.Contains(got, "node-a") {
		t.Errorf("the old map is gone: %q", got)
	}
}

// TestBlobs: unpacked once in a node's life; one that failed is tried again.
func TestBlobs(t *testing.T) {
	j := newJail(t)
	data := archive(t, map[string]string{"blob/file": "hello\n"})
	sent, broken := 0, true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken {
			http.NotFound(w, r)
			return
		}
		sent++
		w.Write(data)
	}))
	defer s.Close()
	j.tmcd.set("blobs", "URL="+s.URL+"/blob.tar.gz ACTION=unpack:/opt\n")
	if r := step(t, j.boot(), "blobs"); r.Status != Failed {
		t.Errorf("not there: %+v", r)
	}
	broken = false
	if r := step(t, j.boot(), "blobs"); r.Status != OK || j.read("/opt/blob/file") != "hello\n" {
		t.Errorf("%+v", r)
	}
	if r := step(t, j.boot(), "blobs"); len(r.Changes) != 0 || sent != 1 {
		t.Errorf("a second boot: %+v, sent %d times", r, sent)
	}
}
