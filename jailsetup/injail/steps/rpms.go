package steps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"emujail/protocol"
)

const rpmDB = dbDir + "/testbed.rpms"

// rpms installs the packages that tmcd lists and that have changed (jail.md
// §3.6): rpms by rpm(8), where the root has it, and .deb files by apt.
func rpms(ctx context.Context, r *Run) error {
	reply, err := r.cached("rpms")
	if err != nil {
		return err
	}
	list, err := protocol.ParseRPMs(reply)
	r.warnAll(err)
	if len(list) == 0 {
		return skipped("no packages")
	}
	db, err := loadInstalled(r.path(rpmDB))
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range list {
		if err := r.rpm(ctx, p, db); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Path, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Run) rpm(ctx context.Context, p protocol.RPM, db *installed) error {
	if !ofChars(p.Path, "-_./+") {
		return errors.New("name holds other characters than [-A-Za-z0-9_./+]")
	}
	tmp := r.path("/var/tmp")
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return err
	}
	key := installKey{file: p.Path}
	pkg, err := r.obtain(ctx, source{p.Server, p.UseWeb, p.Path, tmp}, db.get(key))
	if err != nil {
		return err
	}
	defer pkg.close()
	switch pkg.state {
	case current:
		r.say("%s is up to date", p.Path)
		return nil
	case fresh:
		if err := r.installPackage(ctx, p.Path, pkg.file.Name()); err != nil {
			return err
		}
		r.did("%s installed", p.Path)
	}
	return r.recordInstalled(rpmDB, db, key, pkg)
}

// installPackage runs the root's own tool. apt takes a file for a package only
// by a name that ends in .deb: it gets a link of that name.
func (r *Run) installPackage(ctx context.Context, name, file string) error {
	argv := []string{"rpm", "--upgrade", "--force", "--nodeps", file}
	if strings.HasSuffix(name, ".deb") {
		dir, err := os.MkdirTemp(path.Dir(file), "package.")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		deb := path.Join(dir, path.Base(name))
		if err := os.Link(file, deb); err != nil {
			return err
		}
		argv = []string{"apt-get", "install", "--yes", "--allow-downgrades", "--reinstall", deb}
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		r.lacks("%s: this root has no %s", name, argv[0])
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return r.logged(cmd)
}

// logged runs a command, prints what it prints, and puts its last line into
// the error.
func (r *Run) logged(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	last := ""
	for line := range strings.Lines(string(out)) {
		if last = strings.TrimSpace(line); last != "" {
			r.say("%s: %s", path.Base(cmd.Path), last)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", path.Base(cmd.Path), err, last)
	}
	return nil
}

func forgetRPMs(_ context.Context, r *Run) error { return r.remove(rpmDB) }
