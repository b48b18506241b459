package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/transfer"
)

// copySilence is how long the jail's tar may say nothing.
const copySilence = 60 * time.Second

// maxPadding bounds, in bytes, what may follow the end of a tar.
const maxPadding = 1 << 20

// innerTar and innerTest are the jail's, from the host's /usr: read-only there.
const (
	innerTar  = "/usr/bin/tar"
	innerTest = "/usr/bin/test"
)

func newCopyCommand(s *settings) *cobra.Command {
	var o copying
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "copy files into a vnode's jail, or out of it",
		Long: `cp copies a file or a directory with all that is in it. One of SRC and DST is
VNODE:PATH, a path in the jail, below /root if it begins with no slash. If DST
is a directory, the copy is made in it.

  jailsetup cp ./tools node-a:/usr/local
  jailsetup cp node-a:/local/logs ./logs-of-a

The files belong to root there and to you here. The bits setuid, setgid and
sticky stay behind, devices, fifos and sockets too. What comes out of a jail is
written below DST only, never through a link; links that lead out of the copy
are left out. Exit code 1 if anything was left out.`,
		Args: exactly(2, "SRC and DST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, inFrom := splitInner(args[0])
			to, inTo := splitInner(args[1])
			if inFrom == inTo {
				return usageError{errors.New("cp: want one of SRC and DST as VNODE:PATH (jailsetup cp --help)")}
			}
			if o.limit.Bytes <= 0 {
				return usageError{errors.New("cp: want a --limit of more than 0 bytes")}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			said := &visible{w: cmd.ErrOrStderr()}
			defer said.flush()
			o.err, o.report = &bounded{w: said, left: maxComplaints}, func(err error) {
				o.left++
				if o.left <= maxLeftLines {
					fmt.Fprintf(said, "jailsetup: not copied: %s\n", printable(err.Error()))
				}
			}
			err := o.copy(ctx, s, from, to)
			if err == nil && o.left > 0 {
				err = fmt.Errorf("%d files were left out", o.left)
			}
			if err != nil {
				return fmt.Errorf("cannot copy %s to %s: %w", args[0], args[1], err)
			}
			return nil
		},
	}
	cmd.Flags().BoolP("recursive", "r", false, "for hands that are used to it: directories are copied anyway")
	cmd.Flags().Int64Var(&o.limit.Bytes, "limit", 4<<30, "copy at most `BYTES` out of a jail")
	return cmd
}

// maxLeftLines is how many of the files left out are named.
const maxLeftLines = 20

// copying is one run of cp.
type copying struct {
	limit  transfer.Limit
	err    io.Writer
	report func(error)
	left   int

	site  jail.Site
	vnode string
}

// end is one side: a vnode and a path in its jail, or a path here.
type end struct{ vnode, path string }

// splitInner tells whether the word is VNODE:PATH. As with scp, a colon behind
// a slash belongs to a file's name.
func splitInner(word string) (end, bool) {
	vnode, inner, ok := strings.Cut(word, ":")
	if !ok || strings.Contains(vnode, "/") || vnode == "" {
		return end{path: word}, false
	}
	return end{vnode, inner}, true
}

func (o *copying) copy(ctx context.Context, s *settings, from, to end) error {
	name := from.vnode + to.vnode
	site, err := s.site()
	if err != nil {
		return err
	}
	o.site = site
	if o.vnode, err = resolve(site, name); err != nil {
		return err
	}
	if err := mustRun(site, o.vnode, name); err != nil {
		return err
	}
	if from.vnode != "" {
		return o.out(ctx, from.path, to.path)
	}
	return o.in(ctx, from.path, to.path)
}

// in copies from here into the jail.
func (o *copying) in(ctx context.Context, src, dst string) error {
	if _, err := os.Stat(src); err != nil {
		return err
	}
	src, err := filepath.Abs(src)
	if err != nil {
		return err
	}
	dir, name, err := o.innerTarget(ctx, dst, filepath.Base(src))
	if err != nil {
		return err
	}
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := transfer.Pack(writer, src, name, o.report)
		writer.CloseWithError(err)
		packed <- err
	}()
	code, err := runInside(ctx, o.site, o.vnode, []string{innerTar, "-x", "-p", "--warning=no-timestamp", "-f", "-", "--directory=" + dir},
		streams{in: reader, out: o.err, err: o.err, silence: copySilence})
	reader.CloseWithError(errors.New("the jail's tar has ended"))
	packErr := <-packed
	switch {
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("the jail's tar ended with status %d", code)
	}
	return packErr
}

// innerTarget is the directory and the name in it that a copy into the jail
// gets.
func (o *copying) innerTarget(ctx context.Context, dst, base string) (dir, name string, err error) {
	if dst == "" {
		dst = "."
	}
	isDir, err := o.innerTest(ctx, "-d", dst)
	if err != nil || isDir {
		return dst, base, err
	}
	dir, name = path.Dir(path.Clean(dst)), path.Base(dst)
	if strings.HasSuffix(dst, "/") || name == "." || name == ".." {
		return "", "", fmt.Errorf("there is no directory %s in the jail", dst)
	}
	if isDir, err = o.innerTest(ctx, "-d", dir); err == nil && !isDir {
		err = fmt.Errorf("there is no directory %s in the jail", dir)
	}
	return dir, name, err
}

func (o *copying) innerTest(ctx context.Context, what, path string) (bool, error) {
	code, err := runInside(ctx, o.site, o.vnode, []string{innerTest, what, path}, streams{out: io.Discard, err: o.err, silence: copySilence})
	return code == 0, err
}

// out copies from the jail to here.
func (o *copying) out(ctx context.Context, src, dst string) error {
	src = path.Clean(src)
	base := path.Base(src)
	if base == "/" || base == "." || base == ".." {
		return errors.New("name the file or directory that is to be copied")
	}
	dir, name := dst, base
	if info, err := os.Stat(dst); err != nil || !info.IsDir() {
		if strings.HasSuffix(dst, "/") {
			return fmt.Errorf("there is no directory %s", dst)
		}
		dir, name = filepath.Dir(dst), filepath.Base(dst)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	reader, writer := io.Pipe()
	type ended struct {
		code int
		err  error
	}
	inner := make(chan ended, 1)
	go func() {
		code, err := runInside(ctx, o.site, o.vnode, []string{innerTar, "-c", "-f", "-", "--hard-dereference", "--format=pax", "--directory=" + path.Dir(src), "--", base},
			streams{out: writer, err: o.err, silence: copySilence})
		writer.CloseWithError(err)
		inner <- ended{code, err}
	}()
	counts, err := transfer.Unpack(reader, root, transfer.Names{From: base, To: name}, o.limit, o.report)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(reader, maxPadding))
	}
	reader.CloseWithError(errors.New("the jail sends more than a tar"))
	e := <-inner
	switch {
	case err != nil:
		return err
	case e.err != nil:
		return e.err
	case e.code != 0:
		return fmt.Errorf("the jail's tar ended with status %d", e.code)
	case counts.Files == 0 && o.left > 0:
		return errors.New("nothing was copied")
	}
	return nil
}
