// Package unpack puts a tar archive into a directory and nothing outside it.
//
//	root, err := os.OpenRoot("/usr/local")
//	r, err := unpack.Decompress(file)          // gzip, bzip2, xz, zstd or plain, by content
//	stats, err := unpack.Tar(ctx, root, r, unpack.Options{Dir: "/usr/local"})
//
// The archive is not trusted. Every path is opened below the root by
// descriptor (os.Root), so neither "..", nor an absolute name, nor a symbolic
// link that an earlier entry or somebody else has planted leads out. Beyond
// that, entries are refused that os.Root would let pass: a link whose target
// lies outside the directory, a device, a fifo. A refusal ends the whole
// archive with an error that names the entry: half of a package is worse than
// none, and the caller doesn't record it, so the next run tries again.
//
// Otherwise the result is what `tar -xp` makes as root: modes with their
// set-id bits, owners by name where the jail knows the name and by number
// else, times, hard links, sparse files. An existing file is replaced, never
// written through; an existing directory stays.
//
// What is not promised: durability (the caller syncs, once) and limits on
// size (the file system has one).
package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Options say where and as whom.
type Options struct {
	// Dir is the absolute path of the root inside the jail. The targets of
	// absolute symbolic links are held against it.
	Dir string
	// Owner maps the owner that an entry names to numbers. Nil: everything
	// belongs to whoever unpacks.
	Owner func(h *tar.Header) (uid, gid int)
}

// Stats count what was made.
type Stats struct {
	Files, Dirs, Links int
	Bytes              int64
}

// EntryError says which entry was refused or couldn't be made.
type EntryError struct {
	Name string
	Err  error
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// What an archive can be refused for.
var (
	ErrOutside = errors.New("leads out of the directory")
	ErrSpecial = errors.New("devices and fifos are not unpacked")
)

// Tar unpacks all entries of the archive r below root.
func Tar(ctx context.Context, root *os.Root, r io.Reader, o Options) (Stats, error) {
	x := &extractor{root: root, opt: o, ctx: ctx}
	tr := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return x.stats, context.Cause(ctx)
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// What follows the end marks is read too: a compressed archive
			// has its checksum there, and a cut one shows.
			if _, err := io.Copy(io.Discard, r); err != nil {
				return x.stats, err
			}
			return x.stats, x.finishDirs()
		}
		if err != nil {
			return x.stats, err
		}
		if err := x.entry(h, tr); err != nil {
			return x.stats, &EntryError{h.Name, err}
		}
	}
}

type extractor struct {
	ctx   context.Context
	root  *os.Root
	opt   Options
	stats Stats
	dirs  []*tar.Header // their modes and times are set last
}

func (x *extractor) entry(h *tar.Header, r io.Reader) error {
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return x.dir(h, name)
	}
	if name == "." {
		return ErrOutside
	}
	if err := x.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, '7': // '7': contiguous, a file to everybody
		return x.file(h, name, r)
	case tar.TypeSymlink:
		return x.symlink(h, name)
	case tar.TypeLink:
		return x.link(h, name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return ErrSpecial
	case tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("unknown type %q", h.Typeflag)
}

// inside returns the name relative to the root. As tar does, leading slashes
// are dropped; ".." is refused even where it would stay inside.
func inside(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", fs.ErrInvalid
	}
	for el := range strings.SplitSeq(name, "/") {
		if el == ".." {
			return "", ErrOutside
		}
	}
	return path.Clean(strings.TrimLeft(name, "/") + "/."), nil
}

func (x *extractor) dir(h *tar.Header, name string) error {
	if name != "." {
		if err := x.root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		x.stats.Dirs++
		h.Name = name
		x.dirs = append(x.dirs, h)
	}
	return nil
}

// file writes beside nothing: the old name is unlinked first and the new file
// made exclusively, so that the text can't land in what a link points to.
func (x *extractor) file(h *tar.Header, name string, r io.Reader) (err error) {
	if err := x.clear(name); err != nil {
		return err
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, &ctxReader{x.ctx, r})
	x.stats.Bytes += n
	if err != nil {
		return err
	}
	x.stats.Files++
	// Owner before mode: chown clears the set-id bits.
	if uid, gid, ok := x.owner(h); ok {
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(mode(h)); err != nil {
		return err
	}
	return x.root.Chtimes(name, time.Time{}, h.ModTime)
}

func (x *extractor) symlink(h *tar.Header, name string) error {
	if !x.reaches(name, h.Linkname) {
		return fmt.Errorf("symbolic link to %q: %w", h.Linkname, ErrOutside)
	}
	if err := x.clear(name); err != nil {
		return err
	}
	if err := x.root.Symlink(h.Linkname, name); err != nil {
		return err
	}
	x.stats.Links++
	return x.chown(h, name)
}

// reaches says whether a link's target stays in the directory, by its words
// alone: what other links on the way do is os.Root's concern at each use by
// us, and the kernel's at each use by others.
func (x *extractor) reaches(name, target string) bool {
	if target == "" {
		return false
	}
	dir := path.Clean("/" + x.opt.Dir)
	if !path.IsAbs(target) {
		target = path.Join(dir, path.Dir(name), target)
	}
	target = path.Clean(target)
	return dir == "/" || target == dir || strings.HasPrefix(target, dir+"/")
}

func (x *extractor) link(h *tar.Header, name string) error {
	old, err := inside(h.Linkname)
	if err != nil {
		return fmt.Errorf("link to %q: %w", h.Linkname, err)
	}
	if old == name {
		return nil
	}
	if err := x.clear(name); err != nil {
		return err
	}
	x.stats.Links++
	return x.root.Link(old, name)
}

// clear makes room: a file or link of that name goes, and an empty directory
// too. A full one stays, and is the error.
func (x *extractor) clear(name string) error {
	err := x.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// finishDirs sets modes and times from the deepest directory up: one made
// unreadable earlier would be closed to its own entries.
func (x *extractor) finishDirs() error {
	for i := len(x.dirs) - 1; i >= 0; i-- {
		h := x.dirs[i]
		err := x.chown(h, h.Name)
		if err == nil {
			err = x.root.Chmod(h.Name, mode(h))
		}
		if err == nil {
			err = x.root.Chtimes(h.Name, time.Time{}, h.ModTime)
		}
		if err != nil {
			return &EntryError{h.Name, err}
		}
	}
	return nil
}

func (x *extractor) chown(h *tar.Header, name string) error {
	uid, gid, ok := x.owner(h)
	if !ok {
		return nil
	}
	return x.root.Lchown(name, uid, gid)
}

func (x *extractor) owner(h *tar.Header) (uid, gid int, ok bool) {
	if x.opt.Owner == nil {
		return 0, 0, false
	}
	uid, gid = x.opt.Owner(h)
	return uid, gid, true
}

// mode keeps what tar(1) keeps for root: permissions and the three bits above.
func mode(h *tar.Header) fs.FileMode {
	m := fs.FileMode(h.Mode & 0o777)
	if h.Mode&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if h.Mode&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if h.Mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// ctxReader lets a long copy end when it is told to.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
