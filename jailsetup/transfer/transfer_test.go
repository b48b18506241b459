package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// listed is a tree, a line a file.
func listed(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", info.Mode(), rel)
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(text)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			line += " -> " + to
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func root(t *testing.T) *os.Root {
	t.Helper()
	old := syscall.Umask(0o022)
	t.Cleanup(func() { syscall.Umask(old) })
	r, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestThereAndBack: a tree that is packed and unpacked is the same, but for
// what doesn't cross.
func TestThereAndBack(t *testing.T) {
	src := filepath.Join(t.TempDir(), "tree")
	err := errors.Join(
		os.MkdirAll(filepath.Join(src, "sub", "empty"), 0o755),
		os.WriteFile(filepath.Join(src, "plain"), []byte("text"), 0o640),
		os.WriteFile(filepath.Join(src, "sub", "program"), nil, 0o755),
		os.Chmod(filepath.Join(src, "sub", "program"), 0o755|fs.ModeSetuid),
		os.Symlink("../plain", filepath.Join(src, "sub", "inside")),
		os.Symlink("/etc/passwd", filepath.Join(src, "outside")),
		syscall.Mkfifo(filepath.Join(src, "fifo"), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	var said []string
	report := func(err error) { said = append(said, err.Error()) }
	if err := Pack(&stream, src, "copy", report); err != nil {
		t.Fatal(err)
	}
	dir := root(t)
	counts, err := Unpack(&stream, dir, Names{"copy", "new"}, Limit{}, report)
	if err != nil || counts.Files != 3 || counts.Bytes != 4 {
		t.Fatalf("Unpack = %+v, %v", counts, err)
	}
	want := []string{"drwxr-xr-x new", "-rw-r----- new/plain text", "drwxr-xr-x new/sub", "drwxr-xr-x new/sub/empty", "Lrwxrwxrwx new/sub/inside -> ../plain", "-rwxr-xr-x new/sub/program "}
	if got := listed(t, dir.Name()); !slices.Equal(got, want) {
		t.Errorf("made\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{"tree/fifo: is a fifo", "new/outside: is a link that leads out of what is copied"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestOneFile: a link that the operator names is followed, and a file gets
// another name.
func TestOneFile(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "real"), []byte("x"), 0o600), os.Symlink("real", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := Pack(&stream, filepath.Join(dir, "link"), "f", func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	to := root(t)
	if _, err := Unpack(&stream, to, Names{"f", "g"}, Limit{}, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, to.Name()); !slices.Equal(got, []string{"-rw------- g x"}) {
		t.Error(got)
	}
}

func stream(entries ...tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		text := h.Uname // the row's way to say what is in it
		h.Uname = ""
		h.Size = int64(len(text))
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		_ = w.WriteHeader(&h)
		_, _ = io.WriteString(w, text)
	}
	_ = w.Close()
	return b.Bytes()
}

func file(name, text string) tar.Header { return tar.Header{Name: name, Uname: text, Mode: 0o644} }
func lnk(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
}
func kind(name string, flag byte) tar.Header {
	return tar.Header{Name: name, Typeflag: flag, Linkname: "copy/a"}
}

// TestHostile: what a jail may send instead of what was asked for. Beside the
// directory lies a file that must stay as it is.
func TestHostile(t *testing.T) {
	many := make([]tar.Header, 20)
	for i := range many {
		many[i] = file(fmt.Sprintf("copy/%d", i), "")
	}
	tests := []struct {
		name   string
		stream []byte
		err    string // contained; empty: success
		said   string // contained in what was passed over
		made   string // what lies in the directory afterwards
	}{
		{"climbs", stream(file("copy/../../victim", "x")), "which was not asked for", "", "[]"},
		{"climbs at once", stream(file("../victim", "x")), "which was not asked for", "", "[]"},
		{"absolute", stream(file("/etc/passwd", "x")), "which was not asked for", "", "[]"},
		{"another name", stream(file("other", "x")), "which was not asked for", "", "[]"},
		{"dots", stream(file("copy/./a/../b", "x")), "", "", "[drwxr-xr-x new -rw-r--r-- new/b x]"},
		{"through a link of the stream", stream(lnk("copy/l", "."), file("copy/l/a", "x")), "and a directory", "", "[drwxr-xr-x new drwxr-xr-x new/l -rw-r--r-- new/l/a x]"},
		{"through a link to the outside", stream(lnk("copy/l", "../.."), file("copy/l/victim", "x")), "", "leads out", "[drwxr-xr-x new drwxr-xr-x new/l -rw-r--r-- new/l/victim x]"},
		{"link up and down", stream(lnk("copy/l", "../new/a")), "", "leads out", "[]"},
		{"link that climbs behind a name", stream(lnk("copy/a/s", ".."), lnk("copy/t", "a/s/..")), "", "copy", "[drwxr-xr-x new drwxr-xr-x new/a Lrwxrwxrwx new/a/s -> ..]"},
		{"link to the outside, absolute", stream(lnk("copy/l", "/etc/shadow")), "", "leads out", "[]"},
		{"the copy is a link", stream(lnk("copy", "x")), "", "leads out", "[]"},
		{"link with doubled slashes", stream(lnk("copy/a/l", "..//..//victim")), "", "leads out", "[]"},
		{"hard link", stream(file("copy/a", "x"), kind("copy/b", tar.TypeLink)), "", "is a hard link", "[drwxr-xr-x new -rw-r--r-- new/a x]"},
		{"device", stream(kind("copy/d", tar.TypeBlock), kind("copy/c", tar.TypeChar)), "", "is a device", "[]"},
		{"fifo", stream(kind("copy/f", tar.TypeFifo)), "", "is a fifo", "[]"},
		{"setuid", stream(tar.Header{Name: "copy", Mode: 0o6777, Uname: "x"}), "", "", "[-rwxr-xr-x new x]"},
		{"too many", stream(many...), "more than 10 files", "", ""},
		{"too big", stream(file("copy", strings.Repeat("x", 2000))), "more than 1000 bytes", "", "[]"},
		{"too deep", stream(file("copy/"+strings.Repeat("a/", 300)+"f", "x")), "deep", "", "[]"},
		{"a directory over a file", stream(file("copy/a", "x"), kind("copy/a", tar.TypeDir)), "no directory", "", "[drwxr-xr-x new -rw-r--r-- new/a x]"},
		{"no tar", []byte(strings.Repeat("hello", 400)), "is no tar", "", "[]"},
		{"cut", stream(file("copy", "some text"))[:515], "unexpected EOF", "", ""},
		{"link to a long name", stream(lnk("copy/l", strings.Repeat("x", 5000))), "", "is a link of 5000 bytes", "[]"},
		{"many long names", stream(lnk("copy/l", strings.Repeat("x", 600)), lnk("copy/m", strings.Repeat("x", 600))), "more than 1000 bytes of names", "", "[]"},
		{"nothing", nil, "", "", "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := root(t)
			victim := filepath.Join(filepath.Dir(dir.Name()), "victim")
			if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			var said []string
			_, err := Unpack(bytes.NewReader(tt.stream), dir, Names{"copy", "new"}, Limit{Bytes: 1000, Entries: 10, Names: 1000}, func(err error) { said = append(said, err.Error()) })
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Unpack = %v, want %q", err, tt.err)
			}
			if got := strings.Join(said, "; "); tt.said != "copy" && !strings.Contains(got, tt.said) {
				t.Errorf("passed over %q, want %q", got, tt.said)
			}
			if got := fmt.Sprint(listed(t, dir.Name())); tt.made != "" && got != tt.made {
				t.Errorf("made %s, want %s", got, tt.made)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "mine" {
				t.Errorf("victim: %q, %v", text, err)
			}
		})
	}
}

// TestHostsOwnLinks: links and fifos that lie in the directory already are
// replaced, not written through.
func TestHostsOwnLinks(t *testing.T) {
	dir := root(t)
	at := func(name string) string { return filepath.Join(dir.Name(), name) }
	err := errors.Join(
		os.WriteFile(at("victim"), []byte("mine"), 0o600),
		os.Mkdir(at("new"), 0o755),
		os.Symlink("../victim", at("new/a")),
		syscall.Mkfifo(at("new/b"), 0o644),
		os.Mkdir(at("elsewhere"), 0o755),
		os.Symlink("../elsewhere", at("new/d")),
	)
	if err != nil {
		t.Fatal(err)
	}
	s := stream(file("copy/a", "A"), file("copy/b", "B"), file("copy/d/f", "F"))
	_, err = Unpack(bytes.NewReader(s), dir, Names{"copy", "new"}, Limit{}, func(err error) { t.Error(err) })
	if err == nil || !strings.Contains(err.Error(), "new/d is here already, and no directory") {
		t.Errorf("Unpack = %v", err)
	}
	want := []string{"drwxr-xr-x elsewhere", "drwxr-xr-x new", "-rw-r--r-- new/a A", "-rw-r--r-- new/b B", "Lrwxrwxrwx new/d -> ../elsewhere", "-rw------- victim mine"}
	if got := listed(t, dir.Name()); !slices.Equal(got, want) {
		t.Errorf("made\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzUnpack: whatever comes, nothing is written beside the copy, and every
// link in it stays in it.
func FuzzUnpack(f *testing.F) {
	seeds := [][]byte{
		stream(file("copy/a", "x"), lnk("copy/b/l", "../a"), kind("copy/b", tar.TypeDir)),
		stream(lnk("copy/a/s", ".."), lnk("copy/t", "a/s/..")),
		stream(lnk("copy/l", "a//../..")),
		stream(file("copy", "x")),
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir, err := os.OpenRoot(top)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		_, _ = Unpack(bytes.NewReader(data), dir, Names{"copy", "new"}, Limit{Bytes: 1 << 16, Entries: 50}, func(error) {})
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(top, path)
			if rel != "." && rel != "new" && !strings.HasPrefix(rel, "new/") {
				t.Errorf("made %s", rel)
			}
			if err == nil && d.Type()&fs.ModeSymlink != 0 {
				if to, err := filepath.EvalSymlinks(path); err == nil && to != filepath.Join(top, "new") && !strings.HasPrefix(to, filepath.Join(top, "new")+"/") {
					t.Errorf("link %s leads to %s", rel, to)
				}
			}
			return nil
		})
	})
}
