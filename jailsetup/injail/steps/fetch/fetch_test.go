package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var body = bytes.Repeat([]byte("0123456789abcdef"), 4096)

// get fetches from a handler; a stall of 0 is the default's.
func get(t *testing.T, stall time.Duration, h http.HandlerFunc) (Result, []byte, error) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	return getURL(t, stall, s.URL+"/f?key=SECRET", nil)
}

func getURL(t *testing.T, stall time.Duration, url string, roots *x509.CertPool) (Result, []byte, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := Get(context.Background(), Request{URL: url, Into: f, Secret: "SECRET", Roots: roots,
		Tries: 3, Pause: time.Millisecond, Stall: stall})
	got, e := os.ReadFile(f.Name())
	if e != nil {
		t.Fatal(e)
	}
	if err != nil && strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the key is in the error: %v", err)
	}
	return res, got, err
}

func TestGet(t *testing.T) {
	sum := sha256.Sum256(body)
	right := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	tries := 0
	const silence = "silence"
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
		want    string // in the error; empty: the file comes
		tries   int
	}{
		{"plain", func(w http.ResponseWriter, r *http.Request) { w.Write(body) }, "", 1},
		{"not found is final", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "answers 404", 1},
		{"5xx is tried again", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, "3 attempts: the server answers 503", 3},
		{"comes back", func(w http.ResponseWriter, r *http.Request) {
			if tries < 3 {
				w.WriteHeader(500)
				return
			}
			w.Write(body)
		}, "", 3},
		{"right digest", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Repr-Digest", right); w.Write(body) }, "", 1},
		{"wrong digest", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Digest", "SHA-256="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
			w.Write(body)
		}, "digest differs", 3},
		{"to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/f?key=SECRET", http.StatusFound)
		}, "redirect to another host", 1},
		{"round and round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, "more than 5 redirects", 6},
		{"within the host", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/there" {
				http.Redirect(w, r, "/there", http.StatusFound)
				return
			}
			w.Write(body)
		}, "", 2},
		{silence, func(w http.ResponseWriter, r *http.Request) {
			w.Write(body[:10])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "no byte for 500ms", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			tries = 0
			stall := time.Duration(0)
			if row.name == silence {
				stall = 500 * time.Millisecond
			}
			res, got, err := get(t, stall, func(w http.ResponseWriter, r *http.Request) { tries++; row.handler(w, r) })
			switch {
			case row.want != "":
				if err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("error %v, want %q", err, row.want)
				}
			case err != nil:
				t.Error(err)
			case !bytes.Equal(got, body) || res.Bytes != int64(len(body)):
				t.Errorf("%d bytes, %+v", len(got), res)
			}
			if tries != row.tries {
				t.Errorf("%d requests, want %d", tries, row.tries)
			}
		})
	}
}

// TestCut: the server drops the connection again and again.
func TestCut(t *testing.T) {
	for _, row := range []struct {
		name    string
		etag    string
		change  bool // the file is another one after the first cut
		resumed int
		fails   bool
	}{
		{"resumed", `"v1"`, false, 3, false},
		{"no validator: never gets there", "", false, 0, true},
		{"a weak validator is none", `W/"v1"`, false, 0, true},
		{"changed meanwhile", `"v1"`, true, 3, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := 0
			res, got, err := get(t, 0, func(w http.ResponseWriter, r *http.Request) {
				n++
				data, etag := body, row.etag
				if row.change && n > 1 {
					data, etag = bytes.ToUpper(body), `"v2"`
				}
				if etag != "" {
					w.Header().Set("Etag", etag)
				}
				http.ServeContent(&cutter{w, len(body)/4 + 1}, r, "", time.Time{}, bytes.NewReader(data))
			})
			if row.fails {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := body
			if row.change {
				want = bytes.ToUpper(body)
			}
			if !bytes.Equal(got, want) || res.Resumed != row.resumed {
				t.Errorf("%d bytes, %+v", len(got), res)
			}
		})
	}
}

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

func TestNotModified(t *testing.T) {
	res, got, err := get(t, 0, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if err != nil || !res.NotModified || len(got) != 0 {
		t.Errorf("%+v, %d bytes, %v", res, len(got), err)
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	if _, got, err := getURL(t, 0, s.URL, roots); err != nil || !bytes.Equal(got, body) {
		t.Errorf("known certificate: %d bytes, %v", len(got), err)
	}
	_, _, err := getURL(t, 0, s.URL, x509.NewCertPool())
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("unknown certificate: %v", err)
	}
}

func TestCancel(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }))
	defer s.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	why := errors.New("told to stop")
	ctx, stop := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { stop(why) })
	if _, err := Get(ctx, Request{URL: s.URL, Into: f, Pause: time.Hour}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}
