package steps

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everything makes tmcd ask for something of every step.
func everything(t *testing.T, j *jail) {
	t.Helper()
	j.onlyPrograms("bird", "tcpdump", "emulab-syncd")
	rpm := filepath.Join(os.Getenv("PATH"), "rpm")
	mustWrite(t, rpm, "#!/bin/sh\necho \"$*\" >>"+j.path("/rpms")+"\n")
	if err := os.Chmod(rpm, 0o755); err != nil {
		t.Fatal(err)
	}
	blobs := &blobServer{blobs: map[string]string{"hook": "#!/bin/sh\necho \"$*\" >>" + j.path("/hooks") + "\n"}, sent: map[string]int{}}
	data := archive(t, map[string]string{"tools/hello": "hello\n"})
	mux := http.NewServeMux()
	mux.Handle("/blob/read/", blobs)
	mux.Handle("/spewrpmtar", &webServer{file: data})
	mux.HandleFunc("/image.tar.gz", func(w http.ResponseWriter, _ *http.Request) { w.Write(data) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	j.Conf.WebServer = s.URL
	mac := strings.ReplaceAll(ownDevice(t).HardwareAddr.String(), ":", "")
	for command, reply := range map[string]string{
		"manifest":   "HOOK SERVICE=rc.hostnames ENV=boot WHENCE=first OP=boot POINT=post FATAL=0 BLOBID=hook ARGV=\"-d 1\"\n",
		"jailconfig": "ROOTHASH=$1$x$y\n",
		"ifconfig":   "INTERFACE IFACETYPE=alias INET=127.0.0.1 MASK=255.0.0.0 ID=9 VMAC=020a01010201 PMAC=none RTABID= ENCAPSULATE=0 LAN=lan0 VTAG=\n",
		"blobs":      "URL=" + s.URL + "/image.tar.gz ACTION=unpack:/srv\n",
		"topomap":    packed(t, "# nodes: vname,links\nnode-a,lan0:10.1.1.2\n"), "ltmap": packed(t, "lt\n"), "ltpmap": packed(t, "ltp\n"),
		"routing":    "ROUTERTYPE=ospf\n",
		"traceinfo":  fmt.Sprintf("TRACE LINKNAME=lan0 IDX=1 MAC0=%s MAC1= VNODE=node-a VNODE_MAC= TRACE_TYPE=header TRACE_EXPR='' TRACE_SNAPLEN=\n", mac),
		"syncserver": "SYNCSERVER SERVER='node-a.demo.jails.example.net' ISSERVER=1\n",
		"trafgens":   trafgenLines(t),
		"programs":   "UID=bob\nAGENT=prog0 COMMAND='true'\n",
		"userenv":    "FOO=bar\n",
		"tarballs":   "SERVER=www.example.net USEWEB=1 DIR=/opt TARBALL=/proj/jails/tools.tar.gz\n",
		"rpms":       "SERVER=www.example.net USEWEB=1 RPM=/proj/jails/tool-1.0.rpm\n",
	} {
		j.tmcd.set(command, reply)
	}
}

// TestEveryStepTwice: in a node that is asked for something by every step, each
// does it in the first run, and in the second run none changes anything: no file,
// no process.
func TestEveryStepTwice(t *testing.T) {
	j := newJail(t)
	j.endAll()
	everything(t, j)
	run := func(a Action) *Summary {
		t.Helper()
		j.again = true // the maps, too
		sum, err := j.Do(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	silent := []string{"directories", "config", "aliases"} // what they do isn't worth a line
	first := run(Boot)
	var names []string
	for _, r := range first.Steps {
		names = append(names, r.Step)
		if r.Status != OK || len(r.Missing)+len(r.Warnings) > 0 || len(r.Changes) == 0 && !slices.Contains(silent, r.Step) {
			t.Errorf("the first run: %+v", r)
		}
	}
	for _, s := range append(setup(), table()...) {
		if !slices.Contains(names, s.Name) {
			t.Errorf("%s hasn't run", s.Name)
		}
	}
	for program, lines := range map[string]int{"bird": 1, "tcpdump": 2, "emulab-syncd": 1} {
		j.started(program, lines)
	}
	state := func() (map[string]string, map[string]int) {
		pids := map[string]int{"the agents": j.agentsPID()}
		for _, name := range j.daemons("") {
			pids[name], _ = j.daemonPID(name)
		}
		return snapshot(t, j.Root), pids
	}
	files, pids := state()
	for _, a := range []Action{Boot, Refresh, Boot} {
		sum := run(a)
		if sum.Changed() || sum.Failures() > 0 {
			t.Errorf("%s again:\n%s", a, sum.Text())
		}
		nowFiles, nowPIDs := state()
		for name := range merged(files, nowFiles) {
			if files[name] != nowFiles[name] {
				t.Errorf("%s again: %s was %q, is %q", a, name, files[name], nowFiles[name])
			}
		}
		for name := range merged(pids, nowPIDs) {
			if pids[name] != nowPIDs[name] {
				t.Errorf("%s again: %s was process %d, is %d", a, name, pids[name], nowPIDs[name])
			}
		}
	}
}

// merged has the keys of both.
func merged[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
