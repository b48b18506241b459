package steps

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// blobServer has blobs by id: scripts that note their arguments.
type blobServer struct {
	mu    sync.Mutex
	blobs map[string]string
	sent  map[string]int
}

func newBlobs(tb testing.TB, j *jail, ids ...string) *blobServer {
	tb.Helper()
	b := &blobServer{blobs: map[string]string{}, sent: map[string]int{}}
	for _, id := range ids {
		b.blobs[id] = "#!/bin/sh\necho " + id + " $* >>" + j.path("/ran") + "\n"
	}
	s := httptest.NewServer(b)
	tb.Cleanup(s.Close)
	j.Conf.WebServer = s.URL
	mustWrite(tb, j.path("/ran"), "")
	return b
}

func (b *blobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, ok := strings.CutPrefix(r.URL.Path, "/blob/read/abcdef0123456789/")
	text := b.blobs[id]
	if !ok || text == "" {
		http.NotFound(w, r)
		return
	}
	if sum := sha1.Sum([]byte(text)); r.URL.Query().Get("hash") == hex.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b.sent[id]++
	w.Write([]byte(text))
}

const serviceEnd = " HOOKS_ENABLED=1 FATAL=0 BLOBID=\n"

func TestManifest(t *testing.T) {
	for _, row := range []struct {
		name     string
		manifest string
		ran      string // by two boots
		check    func(t *testing.T, j *jail, first, second Result)
	}{
		{"switched off", "SERVICE NAME=rc.keys ENV=boot WHENCE=every ENABLED=0" + serviceEnd, "",
			func(t *testing.T, j *jail, first, _ Result) {
				if _, err := os.Stat(j.path(bootDir + "/keyhash")); err == nil || first.Status != Skipped {
					t.Errorf("%+v", first)
				}
			}},
		{"another environment", "SERVICE NAME=rc.keys ENV=load WHENCE=every ENABLED=0" + serviceEnd, "",
			func(t *testing.T, j *jail, first, _ Result) { j.has(bootDir+"/keyhash", "abcdef") }},
		{"only first", "SERVICE NAME=rc.keys ENV=boot WHENCE=first ENABLED=1" + serviceEnd, "",
			func(t *testing.T, j *jail, first, second Result) {
				if first.Status != OK || second.Status != Skipped {
					t.Errorf("%+v, %+v", first, second)
				}
			}},
		{"replaced", "SERVICE NAME=rc.keys ENV=boot WHENCE=every ENABLED=1 HOOKS_ENABLED=1 FATAL=0 BLOBID=b1\n",
			"b1 boot\nb1 boot\n", func(t *testing.T, j *jail, first, _ Result) {
				if _, err := os.Stat(j.path(bootDir + "/keyhash")); err == nil {
					t.Error("the step ran too")
				}
			}},
		{"hooks", "HOOK SERVICE=rc.keys ENV=boot WHENCE=first OP=boot POINT=pre FATAL=0 BLOBID=b1 ARGV=\"-x y\"\n" +
			"HOOK SERVICE=rc.keys ENV=boot WHENCE=every OP=boot POINT=post FATAL=0 BLOBID=b2 ARGV=\"\"\n" +
			"HOOK SERVICE=rc.keys ENV=boot WHENCE=every OP=shutdown POINT=post FATAL=0 BLOBID=b2 ARGV=\"\"\n",
			"b1 -x y boot\nb2 boot\nb2 boot\n", func(t *testing.T, j *jail, first, _ Result) { j.has(bootDir+"/keyhash", "abcdef") }},
		{"hooks off", "SERVICE NAME=rc.keys ENV=boot WHENCE=every ENABLED=1 HOOKS_ENABLED=0 FATAL=0 BLOBID=\n" +
			"HOOK SERVICE=rc.keys ENV=boot WHENCE=every OP=boot POINT=pre FATAL=0 BLOBID=b1 ARGV=\"\"\n", "",
			func(t *testing.T, j *jail, first, _ Result) {}},
		{"a hook that fails", "HOOK SERVICE=rc.keys ENV=boot WHENCE=every OP=boot POINT=pre FATAL=0 BLOBID=none ARGV=\"\"\n", "",
			func(t *testing.T, j *jail, first, _ Result) {
				if first.Status != OK || len(first.Warnings) != 1 {
					t.Errorf("%+v", first)
				}
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			b := newBlobs(t, j, "b1", "b2")
			j.tmcd.set("manifest", row.manifest)
			first := step(t, j.boot(), "keys")
			second := step(t, j.boot(), "keys")
			if got := j.read("/ran"); got != row.ran {
				t.Errorf("ran %q, want %q", got, row.ran)
			}
			for id, n := range b.sent {
				if n > 1 {
					t.Errorf("%s was sent %d times", id, n)
				}
			}
			row.check(t, j, first, second)
		})
	}
}

func TestFatalHook(t *testing.T) {
	j := newJail(t)
	newBlobs(t, j)
	j.tmcd.set("manifest", "SERVICE NAME=rc.keys ENV=boot WHENCE=every ENABLED=1 HOOKS_ENABLED=1 FATAL=1 BLOBID=none\n")
	sum, err := j.Do(context.Background(), Boot)
	if err == nil || sum.State != "TBFAILED" {
		t.Errorf("state %s, error %v", sum.State, err)
	}
}
