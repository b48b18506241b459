package transfer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Names says what the copied thing is called in the stream, and what it shall
// be called in the directory.
type Names struct{ From, To string }

// Counts say what was written.
type Counts struct {
	Files int
	Bytes int64
}

// Unpack writes the tree called n.From in the stream r into dir, where it is
// called n.To. It stops with an error at a stream that is no tar, that holds
// something else than that tree, or that goes beyond the limit; what was
// written by then stays.
func Unpack(r io.Reader, dir *os.Root, n Names, l Limit, report func(error)) (Counts, error) {
	l = l.orDefault()
	u := unpacker{root: dir, names: n, limit: l, report: report, plain: map[string]bool{".": true}}
	t := tar.NewReader(r)
	for entries := 0; ; entries++ {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return u.counts, fmt.Errorf("what the jail sends is no tar: %w", err)
		}
		if entries >= l.Entries {
			return u.counts, fmt.Errorf("more than %d files", l.Entries)
		}
		if err := u.entry(h, t); err != nil {
			return u.counts, err
		}
	}
	return u.counts, u.makeLinks()
}

type unpacker struct {
	root   *os.Root
	names  Names
	limit  Limit
	report func(error)
	counts Counts
	plain  map[string]bool // directories that were seen to be none but directories
	links  []link          // made at the end: nothing is written through them
	held   int             // bytes of both
}

type link struct{ at, to string }

// entry writes one entry of the stream.
func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	at, err := u.place(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.dir(at)
	case tar.TypeReg:
		return u.file(at, h, r)
	case tar.TypeSymlink:
		return u.link(at, h.Linkname)
	case tar.TypeLink:
		u.passOver(at, errors.New("is a hard link"))
		return nil
	}
	u.passOver(at, errKind(h.FileInfo().Mode()))
	return nil
}

// place is where the entry lies in the directory, as a path with slashes.
func (u *unpacker) place(name string) (string, error) {
	clean := path.Clean(name)
	first, rest, _ := strings.Cut(clean, "/")
	if first != u.names.From || !filepath.IsLocal(clean) || strings.ContainsRune(clean, 0) {
		return "", fmt.Errorf("the jail sends %q, which was not asked for", name)
	}
	if len(clean) > maxName || strings.Count(clean, "/") > maxDepth {
		return "", fmt.Errorf("the jail sends a name of %d bytes, %d deep", len(clean), strings.Count(clean, "/"))
	}
	return path.Join(u.names.To, rest), nil
}

func (u *unpacker) passOver(at string, err error) { u.report(fmt.Errorf("%s: %w", at, err)) }

// dir makes a directory, and those above it within the copy.
func (u *unpacker) dir(at string) error {
	if u.plain[at] {
		return nil
	}
	if err := u.dir(path.Dir(at)); err != nil {
		return err
	}
	err := u.root.Mkdir(at, 0o755)
	if errors.Is(err, fs.ErrExist) {
		info, statErr := u.root.Lstat(at)
		if statErr != nil {
			return statErr
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is here already, and no directory", at)
		}
		err = nil
	}
	u.plain[at] = err == nil
	return errors.Join(err, u.hold(len(at)))
}

// hold counts what is kept in memory until the end.
func (u *unpacker) hold(n int) error {
	if u.held += n; u.held > u.limit.Names {
		return fmt.Errorf("the jail sends more than %d bytes of names of directories and links", u.limit.Names)
	}
	return nil
}

// clear removes a file that lies where another is to be.
func (u *unpacker) clear(at string) error {
	if err := u.dir(path.Dir(at)); err != nil {
		return err
	}
	info, err := u.root.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is here already, and a directory", at)
	}
	return u.root.Remove(at)
}

func (u *unpacker) file(at string, h *tar.Header, r io.Reader) error {
	if h.Size > u.limit.Bytes-u.counts.Bytes {
		return fmt.Errorf("%s: more than %d bytes in all (--limit)", at, u.limit.Bytes)
	}
	if err := u.clear(at); err != nil {
		return err
	}
	f, err := u.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode)&permissions)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	u.counts.Files++
	u.counts.Bytes += n
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", at, err)
	}
	return u.root.Chtimes(at, h.ModTime, h.ModTime)
}

// link keeps a link for the end if it stays within the copy. To be sure of
// that without asking the tree, ".." may only come first: behind the name of
// another link it could be anywhere.
func (u *unpacker) link(at, to string) error {
	if len(to) > maxName {
		u.passOver(at, fmt.Errorf("is a link of %d bytes", len(to)))
		return nil
	}
	ups := 0
	for rest := to; ; ups++ {
		after, ok := strings.CutPrefix(rest, "..")
		if !ok || after != "" && after[0] != '/' {
			to = rest
			break
		}
		rest = strings.TrimLeft(after, "/")
	}
	inner := strings.Count(at, "/") - 1 // directories between the copy's own and the link; -1: it is the copy
	if path.IsAbs(to) || ups > inner || inner < 0 || climbs(to) {
		u.passOver(at, errors.New("is a link that leads out of what is copied"))
		return nil
	}
	to = strings.TrimSuffix(strings.Repeat("../", ups)+to, "/")
	u.links = append(u.links, link{at, to})
	return u.hold(len(at) + len(to))
}

// climbs tells whether a path has a "..".
func climbs(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

func (u *unpacker) makeLinks() error {
	for _, l := range u.links {
		if err := u.clear(l.at); err != nil {
			return err
		}
		if l.to == "" {
			l.to = "."
		}
		if err := u.root.Symlink(l.to, l.at); err != nil {
			return fmt.Errorf("make link %s: %w", l.at, err)
		}
		u.counts.Files++
	}
	return nil
}
