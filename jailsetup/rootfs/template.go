package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emujail/jailsetup/removal"
	"emujail/jailsetup/wholefile"
)

// templateFormat changes whenever this package would make another tree from
// the same host.
const templateFormat = "1"

// makingPrefix begins the name of a directory in which a template is made.
const makingPrefix = ".making-"

// mkfsTimeout bounds one mkfs.ext4; it takes 25 ms.
const mkfsTimeout = 2 * time.Minute

// Template says from what, and where, templates are made.
type Template struct {
	Dir   string // where templates are kept, 0700
	Host  string // root of the tree that it is made from: the host's, "/", or an image's
	Size  int64  // bytes of the file system
	Names Names
}

// Made is a template that exists.
type Made struct {
	Image string   // path of the image
	Usr   string   // the host's directory that jails see at /usr
	Masks []string // paths below /usr to be masked at every boot
}

// Ensure makes the template unless it is there, and returns it. Two callers at
// once both succeed; one's work is thrown away. An error leaves nothing behind.
func (t Template) Ensure(ctx context.Context) (Made, error) {
	files, err := t.collect()
	if err != nil {
		return Made{}, fmt.Errorf("collect files for a root file system: %w", err)
	}
	name := t.hash(files)
	made := Made{Image: filepath.Join(t.Dir, name+".img"), Usr: filepath.Join(t.Host, "usr")}
	list := filepath.Join(t.Dir, name+".masks")
	data, err := os.ReadFile(list)
	if err == nil {
		return made, json.Unmarshal(data, &made.Masks)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Made{}, err
	}
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return Made{}, err
	}
	if made.Masks, err = Unreadable(filepath.Join(t.Host, "usr")); err != nil {
		return Made{}, fmt.Errorf("look for what others can't read: %w", err)
	}
	if err := t.make(ctx, files, made.Image); err != nil {
		return Made{}, fmt.Errorf("make template %s: %w", name, err)
	}
	return made, writeList(list, made.Masks) // last: its presence says that the template is whole
}

// writeList makes the list whole or not at all, in a directory of the caller's
// own first: others may be making the same.
func writeList(path string, masks []string) (err error) {
	data, err := json.Marshal(masks)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(path), makingPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removal.Tree(work)) }()
	temp := filepath.Join(work, "masks")
	if err := wholefile.WriteSynced(temp, data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return wholefile.SyncDir(filepath.Dir(path))
}

// hash names a template by all that goes into it, and by the host's software:
// an upgrade may bring files that must be masked.
func (t Template) hash(files []file) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", templateFormat, t.Size)
	if t.Host != "/" { // another /usr has other masks
		fmt.Fprintf(h, "root %q\n", t.Host)
	}
	for _, f := range files {
		fmt.Fprintf(h, "%q %o %d %d\n", f.path, f.mode, f.gid, len(f.data))
		h.Write(f.data)
	}
	if info, err := os.Stat(filepath.Join(t.Host, "var/lib/dpkg/status")); err == nil {
		fmt.Fprintf(h, "dpkg %d %d\n", info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// make stages the tree and turns it into an image, which appears whole or not
// at all.
func (t Template) make(ctx context.Context, files []file, image string) (err error) {
	work, err := os.MkdirTemp(t.Dir, makingPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removal.Tree(work)) }()
	stage, temp := filepath.Join(work, "tree"), filepath.Join(work, "image")
	if err := os.Mkdir(stage, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.write(stage); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, mkfsTimeout)
	defer cancel()
	mkfs := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-L", "jail", "-m", "0",
		"-J", "size=4", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		"-d", stage, temp, strconv.FormatInt(t.Size/1024, 10)+"k")
	mkfs.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	if out, err := mkfs.CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "; "))
	}
	if err := syncFile(temp); err != nil { // the list that will say it is whole is synced, too
		return err
	}
	return os.Rename(temp, image)
}

// file is one thing of the tree with its content and the id of its group.
type file struct {
	path string
	mode fs.FileMode
	gid  int
	data []byte // content, or a link's target
}

// write makes f below the staging directory, which only we can reach.
func (f file) write(stage string) error {
	path := filepath.Join(stage, f.path)
	switch f.mode.Type() {
	case fs.ModeSymlink:
		return os.Symlink(string(f.data), path)
	case fs.ModeDir:
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	default:
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return err
		}
	}
	if err := os.Chown(path, 0, f.gid); err != nil {
		return err
	}
	return os.Chmod(path, f.mode) // after chown, which clears setgid
}

// Sweep removes what a killed Ensure has left. Nobody may be making a template
// meanwhile.
func (t Template) Sweep() error {
	left, err := filepath.Glob(filepath.Join(t.Dir, makingPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := removal.Tree(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
