package rootfs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxMasks bounds the list: each is a mount of every jail.
const maxMasks = 4096

// findMasks walks a host tree that jails will share and returns the paths
// below it that others can't read, files and directories; what lies below such
// a directory is covered with it. Links count for nothing themselves. The walk
// stays on the tree's own file system, as the clone of its mount does.
func findMasks(root, except string) ([]string, error) {
	var masks []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if rel == except {
			return fs.SkipDir
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if othersMayRead(info.Mode()) {
			return nil
		}
		if masks = append(masks, rel); len(masks) > maxMasks {
			return fmt.Errorf("more than %d files below %s that others can't read", maxMasks, root)
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return masks, err
}

// othersMayRead tells whether anybody on the host may read what has the mode:
// a directory also needs to be searched.
func othersMayRead(mode fs.FileMode) bool {
	need := fs.FileMode(0o004)
	if mode.IsDir() {
		need = 0o005
	}
	return mode.Perm()&need == need
}

// Unreadable lists the paths below a host's /usr that others can't read, which
// every jail's /usr must have covered (S29); what lies below such a directory
// is covered with it. The walk takes about a second.
func Unreadable(usr string) ([]string, error) { return findMasks(usr, "local") }

// Unmasked lists what others can't read below usr, the host's /usr, and the
// newest template in the directory doesn't mask: it came later, and jails see it.
// Without a template there is nothing that they could see.
func Unmasked(templates, usr string) ([]string, error) {
	lists, err := filepath.Glob(filepath.Join(templates, "*.masks"))
	if err != nil || len(lists) == 0 {
		return nil, err
	}
	newest, at := "", time.Time{}
	for _, path := range lists {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
	}
	data, err := os.ReadFile(newest)
	if err != nil {
		return nil, err
	}
	var masked, left []string
	if err := json.Unmarshal(data, &masked); err != nil {
		return nil, fmt.Errorf("%s: %w", newest, err)
	}
	now, err := Unreadable(usr)
	for _, path := range now {
		if !covered(path, masked) {
			left = append(left, filepath.Join(usr, path))
		}
	}
	return left, err
}

// covered tells whether the path, or a directory that it is in, is masked.
func covered(path string, masked []string) bool {
	for ; path != "."; path = filepath.Dir(path) {
		if slices.Contains(masked, path) {
			return true
		}
	}
	return false
}
