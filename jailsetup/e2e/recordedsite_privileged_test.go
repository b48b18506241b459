//go:build linux && privileged

package e2e

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"emujail/jailsetup/injail/summary"
)

// portedSite is what testdata/recorded-site.yaml says of the testbed, with its
// directories below srv and without what it says of the host: the rig has that.
func portedSite(t *testing.T, srv, host string) string {
	t.Helper()
	text, err := os.ReadFile("../../testdata/recorded-site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, of, ok := strings.Cut(string(text), "# What the testbed names, and where it is here.\n")
	if !ok {
		t.Fatal("the example doesn't say where the testbed's part begins")
	}
	return strings.NewReplacer("/srv/testbed", srv, "172.16.1.0", host).Replace(of)
}

// srvFiles are the files of the recorded experiment, by their path below srv.
func srvFiles(t *testing.T, srv string) {
	t.Helper()
	for path, text := range map[string]string{
		"share/motd": "shared\n", "users/alice/.hushlogin": "", "users/bob/.hushlogin": "", "users/carol/.hushlogin": "",
		"proj/testbed/rpms/foo-1.0.rpm": "no package\n", "proj/testbed/rpms/bar-2.1.rpm": "no package\n",
		"proj/testbed/bin/start.sh": "#!/bin/sh\nid -un\n",
	} {
		file := filepath.Join(srv, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"silly.tar.gz", "tools.tgz"} {
		writeTar(t, filepath.Join(srv, "proj/testbed/tarfiles", name), "from-"+name)
	}
}

func writeTar(t *testing.T, path, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644})
	if err := errors.Join(err, w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// serveBlobs is the testbed's web server: programs of its manifest by their ids.
func (r *rig) serveBlobs(blobs map[string]string) {
	r.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /blob/read/{key}/{id}", func(w http.ResponseWriter, q *http.Request) {
		text, ok := blobs[q.PathValue("id")]
		if !ok || q.PathValue("key") != "5f4dcc3b5aa765d61d8327deb882cf99" {
			http.NotFound(w, q)
			return
		}
		fmt.Fprint(w, text)
	})
	l, err := net.Listen("tcp", netip.AddrPortFrom(r.host, webPort).String())
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	r.t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			r.t.Error(err)
		}
	})
}

// accountsBlob takes the place of the accounts step, as the recorded manifest
// says.
const accountsBlob = `#!/bin/sh
for u in alice:10001 bob:10002 carol:10003; do
	getent passwd ${u%:*} >/dev/null || useradd -M -d /users/${u%:*} -u ${u#*:} -s /bin/bash ${u%:*} || exit 1
done
`

// TestRecordedVnodesBoot: the recorded testbed's vnodes boot to ISUP on a host
// that isn't the one they were recorded from, by the site file alone; and what
// isn't provided is said.
func TestRecordedVnodesBoot(t *testing.T) {
	r := newRig(t, set{noMock: true, noServe: true})
	srv := r.path("srv")
	srvFiles(t, srv)
	site := strings.Replace(portedSite(t, srv, r.host.String()), srv+"/root", r.rootTree("tree"), 1)
	r.write("site.yaml", r.read("site.yaml")+site)
	r.useRecorded()
	r.startServe()
	r.startMock()
	r.serveBlobs(map[string]string{
		"1c2d3e4f-0000-0000-0000-00000000b10b": accountsBlob,
		"admin-hook-1":                         "#!/bin/sh\necho \"$@\" >/root/hook\n",
	})
	for _, v := range r.vnodes {
		r.must("boot", v)
	}
	for _, v := range r.vnodes {
		if err := until(time.Minute, func() error {
			if got := r.node(v).State; got != "ISUP" {
				return fmt.Errorf("%s is %s", v, got)
			}
			return nil
		}); err != nil {
			t.Fatalf("%v\n%s\n%s", err, r.jailsetup("status", v).stdout, r.logs())
		}
	}
	a := r.vnodes[0]
	text := r.enter(a, "cat", "/var/emulab/logs/boot.json")
	s, err := summary.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("what isn't provided is said", func(t *testing.T) {
		want := []string{"tunnel tun-ab (gre)", "blobs: images by frisbee: frisbee://testbed/jaildemo/blob1",
			"syncserver: this node is the sync server, and its root has no emulab-syncd",
			"rpms: /proj/testbed/rpms/foo-1.0.rpm: this root has no rpm", "rpms: /proj/testbed/rpms/bar-2.1.rpm: this root has no rpm"}
		if got := s.NotProvided(); !slices.Equal(got, want) {
			t.Errorf("not provided: %q, want %q", got, want)
		}
		var failed []string
		for _, step := range s.Steps {
			if step.Status == summary.Failed {
				failed = append(failed, step.Step)
			}
		}
		if !slices.Equal(failed, []string{"blobs", "rpms"}) || s.State != "ISUP" {
			t.Errorf("%s", s.Text())
		}
	})
	for _, row := range []struct{ name, line, want string }{
		{"tarballs from the share", "ls /usr/local/from-silly.tar.gz /opt/from-tools.tgz", "/opt/from-tools.tgz\n/usr/local/from-silly.tar.gz\n"},
		{"the share itself", "cat /share/motd", "shared\n"},
		{"a blob in the place of a service", "id -u bob", "10002\n"},
		{"a hook, with its arguments", "cat /root/hook", "-d 1 boot\n"},
		{"the image", "head -n 1 /etc/shells", "# of the image\n"},
		{"its own name", "tmcc status", "ALLOCATED=testbed/jaildemo NICKNAME=node-a\n"},
		{"a link by its LAN's name", "ping -c 1 -W 2 10.1.1.3 >/dev/null && echo reached", "reached\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := r.enter(a, "sh", "-c", row.line); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// useRecorded makes the rig's testbed testdata/recorded.yaml, with addresses and
// vnodes' ids of the rig's own.
func (r *rig) useRecorded() {
	r.t.Helper()
	text, err := os.ReadFile("../../testdata/recorded.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	three := strings.TrimSuffix(r.host.String(), ".0")
	own := runKey() + "-" + filepath.Base(r.dir) + "-pcvm1-"
	r.vnodes = []string{own + "1", own + "2", own + "3"}
	out := regexp.MustCompile(`\bpcvm1-([0-9])\b`).ReplaceAllString(string(text), own+"$1")
	out = strings.NewReplacer("ip: 127.0.0.1\n", "ip: "+r.host.String()+"\n", "172.17.1.", three+".").Replace(out)
	r.write("testbed.yaml", out)
}
