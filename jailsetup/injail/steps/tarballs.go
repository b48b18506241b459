package steps

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"emujail/jailsetup/injail/steps/unpack"
	"emujail/protocol"
)

const tarballDB = dbDir + "/testbed.tarfiles"

// tarballs installs what tmcd lists and what has changed since (jail.md §3.6).
// One that fails doesn't hold the others up; the step has failed then.
func tarballs(ctx context.Context, r *Run) error {
	reply, err := r.cached("tarballs")
	if err != nil {
		return err
	}
	list, err := protocol.ParseTarballs(reply)
	r.warnAll(err)
	if len(list) == 0 {
		return skipped("no tarballs")
	}
	db, err := loadInstalled(r.path(tarballDB))
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range list {
		if err := r.tarball(ctx, t, db); err != nil {
			errs = append(errs, fmt.Errorf("%s in %s: %w", t.Path, t.Dir, err))
		}
	}
	return errors.Join(errs...)
}

// tarball brings one up to date and records it, once it's on the disk.
func (r *Run) tarball(ctx context.Context, t protocol.Tarball, db *installed) error {
	if !ofChars(t.Path, "-_./+") || !ofChars(t.Dir, "-_./") || !path.IsAbs(t.Dir) {
		return errors.New("name or directory holds other characters than [-A-Za-z0-9_./+]")
	}
	if err := os.MkdirAll(r.path(t.Dir), 0o775); err != nil {
		return err
	}
	dir, err := os.OpenRoot(r.path(t.Dir))
	if err != nil {
		return err
	}
	defer dir.Close()
	key := installKey{t.Path, t.Dir}
	pkg, err := r.obtain(ctx, source{t.Server, t.UseWeb, t.Path, r.path(t.Dir)}, db.get(key))
	if err != nil {
		return err
	}
	defer pkg.close()
	if pkg.state == current {
		r.say("%s is up to date", t.Path)
		return nil
	}
	if pkg.state == renewed {
		return r.recordInstalled(tarballDB, db, key, pkg)
	}
	stats, err := r.unpackInto(ctx, dir, t.Dir, pkg.file)
	if err != nil {
		return err
	}
	if err := syncFS(dir); err != nil {
		return err
	}
	r.did("%s: %d files, %d bytes in %s", t.Path, stats.Files, stats.Bytes, t.Dir)
	return r.recordInstalled(tarballDB, db, key, pkg)
}

func (r *Run) unpackInto(ctx context.Context, dir *os.Root, name string, file *os.File) (unpack.Stats, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return unpack.Stats{}, err
	}
	plain, err := unpack.Decompress(file)
	if err != nil {
		return unpack.Stats{}, err
	}
	defer plain.Close()
	opt := unpack.Options{Dir: name}
	if r.Root == "/" || os.Geteuid() == 0 {
		if opt.Owner, err = owners(r.path("/etc")); err != nil {
			return unpack.Stats{}, err
		}
	}
	return unpack.Tar(ctx, dir, plain, opt)
}

// owners maps the names in an archive by this root's own passwd and group,
// unknown ones by number, and numbers that a jail hasn't to root.
func owners(etc string) (func(*tar.Header) (int, int), error) {
	users, err := nameTable(etc + "/passwd")
	if err != nil {
		return nil, err
	}
	groups, err := nameTable(etc + "/group")
	if err != nil {
		return nil, err
	}
	pick := func(table map[string]int, name string, n int) int {
		if id, ok := table[name]; ok {
			return id
		}
		if n < 0 || n > maxID {
			return 0
		}
		return n
	}
	return func(h *tar.Header) (int, int) {
		return pick(users, h.Uname, h.Uid), pick(groups, h.Gname, h.Gid)
	}, nil
}

// nameTable reads names and numbers, fields one and three.
func nameTable(file string) (map[string]int, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	table := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if len(f) < 4 {
			continue
		}
		if n, err := strconv.Atoi(f[2]); err == nil {
			table[f[0]] = n
		}
	}
	return table, nil
}

// ofChars says whether s is made of letters, digits and the others, at least one.
func ofChars(s, others string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(others, c))
	})
}

// forgetTarballs removes the record; nothing is ever un-installed.
func forgetTarballs(_ context.Context, r *Run) error { return r.remove(tarballDB) }
