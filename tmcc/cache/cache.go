// Package cache keeps the replies of one fullconfig as files, a file a command,
// so that a booting node asks boss once and not forty times.
//
// The directory is /var/emulab/boot/tmcc, or /var/emulab/boot/tmcc.<vnode> on a
// host that acts for one of its jails. The rule is the original library's: a
// command without arguments whose file exists is answered from the file, even
// if that is empty; anything else is asked. What was never part of fullconfig
// (status, state, hostnames, …) has no file and so is always asked.
//
//	c, err := cache.Open(cache.BootDir, "")
//	body, found, err := c.Read("accounts")
//
// The package also reads the file proxypath, by which a program finds out that
// it is inside a jail and which socket to ask.
//
// It trusts the directory's owner, root of this machine or jail. The host never
// uses it on a directory that a jail can write: each side keeps its own.
//
// See docs/spec/protocol.md §0, end, and docs/spec/jail.md §2.2.
package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"emujail/protocol"
)

// BootDir is where a node keeps what it was told at boot.
const BootDir = "/var/emulab/boot"

// secret is the one command whose file only root may read: it holds the hash
// that authorizes a ping of death.
const secret = "ipodinfo"

// A Cache is the directory of one node's replies. It need not exist yet.
type Cache struct{ dir string }

// Open names the cache below boot, of this node if vnode is empty, else of
// that vnode. It touches nothing.
func Open(boot, vnode string) (Cache, error) {
	if vnode == "" {
		return Cache{filepath.Join(boot, "tmcc")}, nil
	}
	if len(vnode) > protocol.MaxNodeID || !isWord(vnode, "-_") {
		return Cache{}, fmt.Errorf("cache of vnode %q: not a node id", vnode)
	}
	return Cache{filepath.Join(boot, "tmcc."+vnode)}, nil
}

// Dir is the directory's path.
func (c Cache) Dir() string { return c.dir }

// Read returns the reply of command, a word as it stands in fullconfig, and
// whether the cache has one.
func (c Cache) Read(command string) (body []byte, found bool, err error) {
	if !isWord(command, "_") {
		return nil, false, nil
	}
	body, err = os.ReadFile(filepath.Join(c.dir, command))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read cache: %w", err)
	}
	return body, true, nil
}

// Fill replaces the cache by blocks. Readers see the old files or the new ones,
// for a moment none, never a mixture. If it fails the old ones are still there.
func (c Cache) Fill(blocks []protocol.Block) (err error) {
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
		return fmt.Errorf("fill cache: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(c.dir), filepath.Base(c.dir)+".new-")
	if err != nil {
		return fmt.Errorf("fill cache: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("fill cache: %w", err), os.RemoveAll(fresh))
		}
	}()
	for _, b := range blocks {
		if err := write(fresh, b); err != nil {
			return err
		}
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	return c.swap(fresh)
}

func write(dir string, b protocol.Block) error {
	if !isWord(b.Command, "_") {
		return fmt.Errorf("block %q: not a command", b.Command)
	}
	mode := fs.FileMode(0o644)
	if b.Command == secret {
		mode = 0o600
	}
	return os.WriteFile(filepath.Join(dir, b.Command), b.Body, mode)
}

// swap puts the directory fresh in the cache's place.
func (c Cache) swap(fresh string) error {
	old := fresh + ".old"
	if err := os.Rename(c.dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, c.dir); err != nil {
		return errors.Join(err, os.Rename(old, c.dir))
	}
	return os.RemoveAll(old)
}

// Clear removes the cache; none is no error.
func (c Cache) Clear() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("clear cache: %w", err)
	}
	return nil
}

// isWord reports whether s is made of letters, digits and bytes of extra, at
// least one.
func isWord(s, extra string) bool {
	for _, c := range []byte(s) {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alnum && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != ""
}
