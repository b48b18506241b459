package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"emujail/jailsetup/injail/etcfiles"
)

// Limits of what one file, and all of /etc, may bring into a template: more is
// a mistake of the allow-list or of the host.
const (
	maxFileBytes = 4 << 20
	maxEtcBytes  = 32 << 20
)

// collect reads all that goes into the tree, in the order of making.
func (t Template) collect() ([]file, error) {
	accounts, err := readStubAccounts(filepath.Join(t.Host, "etc"))
	if err != nil {
		return nil, err
	}
	c := &collector{host: t.Host, seen: map[string]int{}}
	for _, e := range skeleton {
		c.add(file{e.path, e.mode, groupID(accounts.group, e.group), []byte(e.data)})
	}
	if err := c.addRootDirs(); err != nil {
		return nil, err
	}
	for _, name := range etcAllowed {
		if err := c.addHost(filepath.Join("etc", name)); err != nil {
			return nil, err
		}
	}
	names, err := t.Names.resolvConf()
	if err != nil {
		return nil, err
	}
	c.add(file{"etc/resolv.conf", 0o644, 0, names})
	shadow := groupID(accounts.group, "shadow")
	c.add(file{"etc/passwd", 0o644, 0, accounts.passwd})
	c.add(file{"etc/group", 0o644, 0, accounts.group})
	c.add(file{"etc/shadow", 0o640, shadow, accounts.shadow})
	c.add(file{"etc/gshadow", 0o640, shadow, accounts.gshadow})
	for _, f := range etcfiles.Files() {
		c.addParents(strings.TrimPrefix(f.Path, "/"))
		c.add(file{strings.TrimPrefix(f.Path, "/"), f.Mode, 0, f.Data})
	}
	return c.files, nil
}

// collector gathers files; a later one of the same path takes the place of the
// earlier.
type collector struct {
	host  string
	files []file
	seen  map[string]int
	bytes int64
}

func (c *collector) add(f file) {
	if i, ok := c.seen[f.path]; ok {
		c.files[i] = f
		return
	}
	c.seen[f.path] = len(c.files)
	c.files = append(c.files, f)
}

// addParents makes the directories above path that nothing has named.
func (c *collector) addParents(path string) {
	var missing []string
	for d := filepath.Dir(path); d != "."; d = filepath.Dir(d) {
		if _, ok := c.seen[d]; !ok {
			missing = append(missing, d)
		}
	}
	slices.Reverse(missing)
	for _, d := range missing {
		c.add(file{d, fs.ModeDir | 0o755, 0, nil})
	}
}

// addRootDirs copies the links that a merged /usr needs.
func (c *collector) addRootDirs() error {
	for _, name := range rootDirs {
		target, err := os.Readlink(filepath.Join(c.host, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("/%s of this host is no link into /usr: jails need a merged /usr (Debian's package usrmerge makes it)", name)
		default:
			c.add(file{name, link | 0o777, 0, []byte(strings.TrimPrefix(target, "/"))})
		}
	}
	return nil
}

// addHost takes one allowed path of the host, and all below it. What isn't
// there, what others can't read and what is neither file, directory nor link
// is left out, and so is what has the name of a key, whoever may read it.
func (c *collector) addHost(path string) error {
	return filepath.WalkDir(filepath.Join(c.host, path), func(full string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(c.host, full)
		if err != nil {
			return err
		}
		return c.addHostFile(rel, full, info)
	})
}

func (c *collector) addHostFile(rel, full string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case keyName(info.Name()):
		if mode.IsDir() {
			return fs.SkipDir
		}
		return nil
	case mode&fs.ModeSymlink != 0:
		return c.addHostLink(rel, full)
	case !othersMayRead(mode):
		if mode.IsDir() {
			return fs.SkipDir
		}
		return nil
	case mode.IsDir():
		c.addParents(rel)
		c.add(file{rel, fs.ModeDir | mode.Perm(), 0, nil})
		return nil
	case mode.IsRegular():
		return c.addHostContent(rel, full, info)
	}
	return nil
}

// addHostLink keeps a link as it is. One that leads elsewhere than to /usr and
// /etc is left out: the jail lacks what it points to, and here it may lie where
// others don't get.
func (c *collector) addHostLink(rel, full string) error {
	target, err := os.Readlink(full)
	if err != nil {
		return err
	}
	abs := filepath.Clean(target)
	if !filepath.IsAbs(target) {
		abs = filepath.Join("/", filepath.Dir(rel), target)
	}
	if strings.HasPrefix(abs, "/usr/") || strings.HasPrefix(abs, "/etc/") {
		c.addParents(rel)
		c.add(file{rel, link | 0o777, 0, []byte(target)})
	}
	return nil
}

func (c *collector) addHostContent(rel, full string, info fs.FileInfo) error {
	c.bytes += info.Size()
	if info.Size() > maxFileBytes || c.bytes > maxEtcBytes {
		return fmt.Errorf("/%s: more than a root file system takes from /etc (%d bytes a file, %d in all)", rel, maxFileBytes, maxEtcBytes)
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return err
	}
	c.addParents(rel)
	c.add(file{rel, info.Mode().Perm(), 0, data})
	return nil
}
