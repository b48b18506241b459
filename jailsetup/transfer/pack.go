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
	"syscall"
)

// Pack writes the file or tree at src as a tar stream in which it is called
// name. A link at src itself is followed, links below it are sent as links.
// Everything belongs to root in the stream.
func Pack(w io.Writer, src, name string, report func(error)) error {
	src, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(src))
	if err != nil {
		return err
	}
	defer root.Close()
	base := filepath.Base(src)
	p := packer{tar.NewWriter(w), root}
	err = fs.WalkDir(root.FS(), base, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		err = p.add(at, path.Join(name, at[len(base):]), d)
		var passed passedOver
		if errors.As(err, &passed) {
			report(fmt.Errorf("%s: %w", at, passed.why))
			return nil
		}
		return err
	})
	return errors.Join(err, p.Close())
}

type packer struct {
	*tar.Writer
	root *os.Root
}

// passedOver is a file that isn't sent.
type passedOver struct{ why error }

// Error implements error.
func (p passedOver) Error() string { return p.why.Error() }

func (p packer) add(at, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode() & permissions), ModTime: info.ModTime(), Uname: "root", Gname: "root"}
	switch mode := info.Mode(); {
	case mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return p.WriteHeader(h)
	case mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = p.root.Readlink(at); err != nil {
			return err
		}
		return p.WriteHeader(h)
	case mode.IsRegular():
		return p.file(at, h)
	default:
		return passedOver{errKind(mode)}
	}
}

// file sends a file of the size that it has once it is open: by then it is
// still a plain one, and nobody was waited for.
func (p packer) file(at string, h *tar.Header) error {
	f, err := p.root.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return passedOver{errKind(info.Mode())}
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := p.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(p, f, h.Size); err != nil {
		return fmt.Errorf("read %s, which has shrunk meanwhile: %w", at, err)
	}
	return nil
}
