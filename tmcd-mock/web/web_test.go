package web

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	key     = "5f4dcc3b5aa765d61d8327deb882cf99"
	content = "a tarball\n"
)

// site serves a root with a file, a link, a fifo and a secret beside it.
func site(t testing.TB) (base string, log *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(root, "proj/jails"), 0o755))
	check(os.WriteFile(filepath.Join(root, "proj/jails/hello.tar.gz"), []byte(content), 0o644))
	check(os.WriteFile(filepath.Join(root, "proj/jails/other.tar.gz"), []byte("others'"), 0o644))
	check(os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644))
	check(os.Symlink("../../../secret", filepath.Join(root, "proj/jails/out")))
	check(os.Symlink("hello.tar.gz", filepath.Join(root, "proj/jails/in")))
	check(os.Symlink("jails", filepath.Join(root, "proj/dirlink")))
	check(syscall.Mkfifo(filepath.Join(root, "proj/jails/fifo"), 0o644))
	check(os.Chtimes(filepath.Join(root, "proj/jails/hello.tar.gz"), time.Unix(1000, 0), time.Unix(1000, 0)))
	r, err := os.OpenRoot(root)
	check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	log = &bytes.Buffer{}
	s := Serve(l, Options{Root: r, Logger: slog.New(slog.NewTextHandler(log, nil)), Records: func(node string) ([]string, string) {
		switch node {
		case "pcvm1-1":
			return []string{"/proj/jails/hello.tar.gz", "/proj/jails/none", "/proj/jails/out", "/proj/jails/in", "/proj/jails/fifo",
				"/proj/dirlink/hello.tar.gz", "/proj/jails/../../../secret", "/../secret", "/proj/jails", "/", "//proj//jails/hello.tar.gz"}, key
		case "nokey":
			return []string{"/proj/jails/hello.tar.gz"}, ""
		}
		return nil, ""
	}})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String(), log
}

func get(t testing.TB, base, node, file, key string, more ...string) (int, string, http.Header) {
	t.Helper()
	q := url.Values{"nodeid": {node}, "file": {file}, "key": {key}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	client := http.Client{Timeout: 10 * time.Second}
	r, err := client.Get(base + "/spewrpmtar?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

// T44: only files that the asking node's records name, below one root; links, fifos and .. refused.
func TestT44Files(t *testing.T) {
	base, _ := site(t)
	for _, row := range []struct {
		name, node, file, key string
		want                  int
	}{
		{"its own", "pcvm1-1", "/proj/jails/hello.tar.gz", key, 200},
		{"somebody else's", "pcvm1-1", "/proj/jails/other.tar.gz", key, 403},
		{"wrong key", "pcvm1-1", "/proj/jails/hello.tar.gz", "5f4dcc3b5aa765d61d8327deb882cf98", 403},
		{"no key", "pcvm1-1", "/proj/jails/hello.tar.gz", "", 403},
		{"no such node", "pc9", "/proj/jails/hello.tar.gz", key, 403},
		{"no such node, no key", "pc9", "/proj/jails/hello.tar.gz", "", 403},
		{"experiment without a key", "nokey", "/proj/jails/hello.tar.gz", "", 403},
		{"named, not there", "pcvm1-1", "/proj/jails/none", key, 404},
		{"link out", "pcvm1-1", "/proj/jails/out", key, 403},
		{"link within", "pcvm1-1", "/proj/jails/in", key, 403},
		{"below a linked directory", "pcvm1-1", "/proj/dirlink/hello.tar.gz", key, 403},
		{"fifo", "pcvm1-1", "/proj/jails/fifo", key, 403},
		{"..", "pcvm1-1", "/proj/jails/../../../secret", key, 403},
		{".. at once", "pcvm1-1", "/../secret", key, 403},
		{"directory", "pcvm1-1", "/proj/jails", key, 403},
		{"root", "pcvm1-1", "/", key, 403},
		{"doubled slashes", "pcvm1-1", "//proj//jails/hello.tar.gz", key, 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, body, header := get(t, base, row.node, row.file, row.key)
			if code != row.want {
				t.Errorf("status %d, want %d", code, row.want)
			}
			if code == 200 && (body != content || header.Get("X-Sha256") == "") {
				t.Errorf("body %q, header %v", body, header)
			}
			if code != 200 && strings.Contains(body, "secret") {
				t.Errorf("body %q", body)
			}
		})
	}
}

func TestUnchanged(t *testing.T) {
	base, _ := site(t)
	sum := fmt.Sprintf("%x", md5.Sum([]byte(content)))
	for _, row := range []struct {
		name string
		more []string
		want int
	}{
		{"older stamp", []string{"stamp", "999"}, 200},
		{"same stamp", []string{"stamp", "1000"}, 304},
		{"newer stamp", []string{"stamp", strconv.FormatInt(time.Now().Unix(), 10)}, 304},
		{"stamp 0", []string{"stamp", "0"}, 200},
		{"no number", []string{"stamp", "x"}, 200},
		{"same md5", []string{"md5", sum}, 304},
		{"same md5, capitals", []string{"md5", strings.ToUpper(sum)}, 304},
		{"other md5", []string{"md5", hex.EncodeToString(make([]byte, 16))}, 200},
		{"older stamp, same md5", []string{"stamp", "1", "md5", sum}, 304},
		{"empty md5", []string{"md5", ""}, 200},
	} {
		if code, body, _ := get(t, base, "pcvm1-1", "/proj/jails/hello.tar.gz", key, row.more...); code != row.want || code == 200 && body != content {
			t.Errorf("%s: %d %q, want %d", row.name, code, body, row.want)
		}
	}
	// What is unchanged is told to those alone who may know.
	if code, _, _ := get(t, base, "pcvm1-1", "/proj/jails/hello.tar.gz", "x", "md5", sum); code != 403 {
		t.Errorf("with a wrong key: %d", code)
	}
}

// T44: the key never shows in the log, right or wrong; what clients send can't write lines of its own.
func TestT44KeyIsNotLogged(t *testing.T) {
	base, log := site(t)
	get(t, base, "pcvm1-1", "/proj/jails/hello.tar.gz", key)
	get(t, base, "pcvm1-1", "/proj/jails/hello.tar.gz", "wrong-key-value")
	get(t, base, "pc9\nlevel=INFO msg=forged\x1b[2J", "/x", key)
	text := log.String()
	if strings.Contains(text, key) || strings.Contains(text, "wrong-key-value") {
		t.Errorf("the log shows a key:\n%s", text)
	}
	if strings.Count(text, "\n") != 3 || strings.Contains(text, "\x1b") {
		t.Errorf("the log was written into:\n%s", text)
	}
}

func TestOtherAddressesAndMethods(t *testing.T) {
	base, _ := site(t)
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 404},
		{"GET", "/proj/jails/hello.tar.gz", 404},
		{"GET", "/spewrpmtar/../proj", 404},
		{"POST", "/spewrpmtar", 405},
		{"GET", "/spewrpmtar", 403},
		{"GET", "/spewrpmtar.php3", 403},
	} {
		request, err := http.NewRequest(row.method, base+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		r, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != row.want && !(row.want == 404 && r.StatusCode/100 == 3) {
			t.Errorf("%s %s: %d, want %d", row.method, row.path, r.StatusCode, row.want)
		}
	}
}
