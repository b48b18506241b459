package steps

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// webServer is the testbed's /spewrpmtar with one file.
type webServer struct {
	mu    sync.Mutex
	file  []byte
	cut   int // after how many bytes each answer is cut off, 0: never
	gets  int
	sent  int // answers with the file
	query []string
}

func (w *webServer) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gets++
	q := req.URL.Query()
	w.query = append(w.query, req.URL.RawQuery)
	sum := md5.Sum(w.file)
	switch {
	case req.URL.Path != "/spewrpmtar" || q.Get("nodeid") != "pcvm1-1" || q.Get("key") != "abcdef0123456789":
		http.Error(rw, "no", http.StatusForbidden)
		return
	case q.Get("md5") == hex.EncodeToString(sum[:]):
		rw.WriteHeader(http.StatusNotModified)
		return
	}
	w.sent++
	rw.Header().Set("Etag", fmt.Sprintf("%q", hex.EncodeToString(sum[:])))
	if w.cut > 0 {
		rw = &cutter{rw, w.cut}
	}
	http.ServeContent(rw, req, "", time.Time{}, bytes.NewReader(w.file))
}

// cutter drops the connection after some bytes of the body.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	_, _ = c.ResponseWriter.Write(p[:n])
	if c.left -= n; n < len(p) {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// archive makes a gzipped tar of files with these texts.
func archive(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o755})
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func newWeb(tb testing.TB, j *jail, file []byte) *webServer {
	tb.Helper()
	w := &webServer{file: file}
	s := httptest.NewServer(w)
	tb.Cleanup(s.Close)
	j.Conf.WebServer = strings.TrimPrefix(s.URL, "http://")
	j.tmcd.set("tarballs", "SERVER=boss USEWEB=1 DIR=/usr/local TARBALL=/proj/jails/tools.tar.gz\n")
	return w
}

func TestTarballOverTheWeb(t *testing.T) {
	j := newJail(t)
	w := newWeb(t, j, archive(t, map[string]string{"bin/tool": "one"}))
	sum := j.boot()
	if r := step(t, sum, "tarballs"); r.Status != OK || len(r.Changes) != 1 {
		t.Fatalf("%+v", r)
	}
	if got := j.read("/usr/local/bin/tool"); got != "one" {
		t.Errorf("tool is %q", got)
	}
	if st, err := os.Stat(j.path("/usr/local/bin/tool")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}

	sum = j.boot() // 304
	if r := step(t, sum, "tarballs"); r.Status != OK || len(r.Changes) != 0 || w.sent != 1 {
		t.Errorf("second boot: %+v, sent %d times", r, w.sent)
	}

	w.file = archive(t, map[string]string{"bin/tool": "two"})
	j.boot()
	if got := j.read("/usr/local/bin/tool"); got != "two" {
		t.Errorf("a changed tarball: tool is %q", got)
	}
	if bytes.Contains(j.out.bytes(), []byte("abcdef0123456789")) {
		t.Error("the key is in the log")
	}
	names, err := os.ReadDir(j.path("/usr/local"))
	if err != nil || len(names) != 1 {
		t.Errorf("left in the directory: %v, %v", names, err)
	}
}

func TestTarballIsResumed(t *testing.T) {
	j := newJail(t)
	text := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB, packs well
	w := newWeb(t, j, nil)
	var b bytes.Buffer
	tw := tar.NewWriter(&b) // not packed
	if err := tw.WriteHeader(&tar.Header{Name: "data", Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	w.file, w.cut = b.Bytes(), 300<<10
	if r := step(t, j.boot(), "tarballs"); r.Status != OK {
		t.Fatalf("%+v", r)
	}
	if j.read("/usr/local/data") != text {
		t.Error("not the same bytes")
	}
	if w.gets != 4 {
		t.Errorf("%d requests, want 4", w.gets)
	}
}

func TestFailedTarballIsNoLie(t *testing.T) {
	for _, row := range []struct {
		name, file, want string
	}{
		{"not found", "", "the server answers 404"},
		{"no archive", "this is no archive, whatever its name says: it is only a text of some length" + strings.Repeat(".", 600), "header"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			w := newWeb(t, j, []byte(row.file))
			if row.file == "" {
				s := httptest.NewServer(http.NotFoundHandler())
				defer s.Close()
				j.Conf.WebServer = s.URL
			}
			sum := j.boot()
			r := step(t, sum, "tarballs")
			if r.Status != Failed || !strings.Contains(r.Why, row.want) {
				t.Fatalf("%+v, want failed with %q", r, row.want)
			}
			if sum.State != "ISUP" {
				t.Errorf("state %s: tarballs aren't fatal", sum.State)
			}
			// The next boot tries again, and it works now.
			s := httptest.NewServer(w)
			defer s.Close()
			j.Conf.WebServer = s.URL
			w.file = archive(t, map[string]string{"x": "y"})
			if r := step(t, j.boot(), "tarballs"); r.Status != OK {
				t.Errorf("again: %+v", r)
			}
		})
	}
}

func TestMountedTarball(t *testing.T) {
	j := newJail(t)
	j.tmcd.set("tarballs", "SERVER=fs USEWEB=0 DIR=/opt/t TARBALL=/proj/jails/t.tgz\n")
	mustWrite(t, j.path("/proj/jails/t.tgz"), string(archive(t, map[string]string{"a": "1"})))
	if r := step(t, j.boot(), "tarballs"); r.Status != OK || len(r.Changes) != 1 {
		t.Fatalf("%+v", r)
	}
	if r := step(t, j.boot(), "tarballs"); len(r.Changes) != 0 {
		t.Errorf("second boot: %+v", r)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(j.path("/proj/jails/t.tgz"), later, later); err != nil {
		t.Fatal(err)
	}
	if r := step(t, j.boot(), "tarballs"); r.Status != OK || len(r.Changes) != 0 {
		t.Errorf("touched, same bytes: %+v", r)
	}
	mustWrite(t, j.path("/proj/jails/t.tgz"), string(archive(t, map[string]string{"a": "2"})))
	later = later.Add(time.Hour)
	if err := os.Chtimes(j.path("/proj/jails/t.tgz"), later, later); err != nil {
		t.Fatal(err)
	}
	if r := step(t, j.boot(), "tarballs"); len(r.Changes) != 1 || j.read("/opt/t/a") != "2" {
		t.Errorf("changed: %+v", r)
	}
}
