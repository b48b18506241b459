package unpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// entry is a row of an archive.
type entry struct {
	name string
	kind byte
	text string // of a file; the target of a link
	mode int64
}

func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		switch e.kind {
		case tar.TypeReg:
			h.Size = int64(len(e.text))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = e.text
		}
		err := w.WriteHeader(h)
		if err == nil && h.Size > 0 {
			_, err = io.WriteString(w, e.text)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func file(name, text string) entry   { return entry{name, tar.TypeReg, text, 0} }
func link(name, target string) entry { return entry{name, tar.TypeSymlink, target, 0} }
func hard(name, target string) entry { return entry{name, tar.TypeLink, target, 0} }

// unpackInto unpacks into a new directory that lies beside a secret.
func unpackInto(tb testing.TB, data []byte, prepare func(dir string)) (dir string, err error) {
	tb.Helper()
	top := tb.TempDir()
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("untouched"), 0o644); err != nil {
		tb.Fatal(err)
	}
	dir = filepath.Join(top, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	if prepare != nil {
		prepare(dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		tb.Fatal(err)
	}
	defer root.Close()
	_, err = Tar(context.Background(), root, bytes.NewReader(data), Options{Dir: dir})
	if text, e := os.ReadFile(filepath.Join(top, "secret")); e != nil || string(text) != "untouched" {
		tb.Errorf("the secret outside is %q, %v", text, e)
	}
	return dir, err
}

func TestUnpack(t *testing.T) {
	dir, err := unpackInto(t, pack(t,
		entry{"a/", tar.TypeDir, "", 0o750}, file("a/b", "text"), file("deep/down/x", "y"),
		entry{"bin", tar.TypeReg, "#!", 0o4755}, link("a/l", "b"), hard("a/h", "a/b"), link("up", "a/../bin"),
		file("/absolute", "z"), entry{"closed/", tar.TypeDir, "", 0o500}, file("closed/in", "1"),
		file("a/b", "newer")), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/b": "newer", "a/l": "newer", "a/h": "text", "deep/down/x": "y",
		"up": "#!", "absolute": "z", "closed/in": "1"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]fs.FileMode{"a": fs.ModeDir | 0o750, "bin": fs.ModeSetuid | 0o755, "closed": fs.ModeDir | 0o500} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err != nil || st.Mode() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, st.Mode(), err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, row := range []struct {
		name    string
		entries []entry
		want    error
	}{
		{"up", []entry{file("../secret", "x")}, ErrOutside},
		{"up within", []entry{file("a/../b", "x")}, ErrOutside},
		{"the directory itself as a file", []entry{file(".", "x")}, ErrOutside},
		{"absolute link", []entry{link("l", "/etc/passwd")}, ErrOutside},
		{"relative link", []entry{link("a/l", "../../secret")}, ErrOutside},
		{"hard link", []entry{hard("l", "../secret")}, ErrOutside},
		{"empty link", []entry{link("l", "")}, ErrOutside},
		{"device", []entry{{"null", tar.TypeChar, "", 0}}, ErrSpecial},
		{"block device", []entry{{"disk", tar.TypeBlock, "", 0}}, ErrSpecial},
		{"fifo", []entry{{"pipe", tar.TypeFifo, "", 0}}, ErrSpecial},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := unpackInto(t, pack(t, row.entries...), nil)
			if !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
			var e *EntryError
			if !errors.As(err, &e) || e.Name != row.entries[0].name {
				t.Errorf("the error doesn't name the entry: %v", err)
			}
		})
	}
}

// TestPlanted: links that are there before, as a user of the jail plants them.
func TestPlanted(t *testing.T) {
	plant := func(target string) func(string) {
		return func(dir string) {
			if err := os.Symlink(target, filepath.Join(dir, "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("a file replaces a link", func(t *testing.T) {
		dir, err := unpackInto(t, pack(t, file("x", "mine")), plant("../secret"))
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(filepath.Join(dir, "x")); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%v %v", st.Mode(), err)
		}
	})
	for _, name := range []string{"x/secret", "x/new"} {
		t.Run("through a link: "+name, func(t *testing.T) {
			if _, err := unpackInto(t, pack(t, file(name, "x")), plant("..")); err == nil {
				t.Error("unpacked through a link that leads out")
			}
		})
	}
	t.Run("a link within made first", func(t *testing.T) {
		dir, err := unpackInto(t, pack(t, entry{"lib64/", tar.TypeDir, "", 0o755}, link("lib", "lib64"), file("lib/f", "x")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "lib64/f")); err != nil {
			t.Error(err)
		}
	})
	t.Run("a full directory in the way of a file", func(t *testing.T) {
		if _, err := unpackInto(t, pack(t, file("d/f", "x"), file("d", "y")), nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestDecompress(t *testing.T) {
	plain := pack(t, file("f", strings.Repeat("text ", 10000)))
	packers := map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"xz": func(w io.Writer) io.WriteCloser {
			x, err := xz.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return x
		},
		"zstd": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	}
	for name, packer := range packers {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := packer(&b)
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			read := func(data []byte) ([]byte, error) {
				r, err := Decompress(bytes.NewReader(data))
				if err != nil {
					return nil, err
				}
				defer r.Close()
				return io.ReadAll(r)
			}
			got, err := read(b.Bytes())
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(plain))
			}
			if _, err := read(b.Bytes()[:b.Len()-5]); err == nil {
				t.Error("a cut stream passes")
			}
		})
	}
	t.Run("plain", func(t *testing.T) {
		r, err := Decompress(bytes.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
	t.Run("bzip2", func(t *testing.T) { // printf 'hello\\n' | bzip2 | xxd -p
		data, err := hex.DecodeString("425a6839314159265359c1c080e2000001410000100244a00030cd00c3462997177245385090c1c080e2")
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decompress(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "hello\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("compress", func(t *testing.T) {
		if _, err := Decompress(strings.NewReader("\x1f\x9d\x90xyz")); !errors.Is(err, ErrCompress) {
			t.Errorf("%v", err)
		}
	})
	t.Run("huge dictionary", func(t *testing.T) {
		head := append([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"), 2, 0, 0x21, 1, 40, 0, 0, 0)
		if _, err := Decompress(bytes.NewReader(head)); err == nil || !strings.Contains(err.Error(), "dictionary") {
			t.Errorf("%v", err)
		}
	})
}

func FuzzTar(f *testing.F) {
	seeds := [][]byte{
		pack(f, file("a", "b")), pack(f, link("l", "a"), file("l/x", "y")), pack(f, hard("h", "a")),
		pack(f, file("../x", "y")), pack(f, entry{"d/", tar.TypeDir, "", 0o755}, link("d/l", "../../secret")),
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = unpackInto(t, data, nil) // it checks what lies outside
	})
}
