package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ProxyPathFile is the file, in the boot directory, that a jail has and its
// host has not.
const ProxyPathFile = "proxypath"

// ProxyPath returns the socket that the file proxypath in boot names, and ""
// if there is no such file. One final newline is allowed; else every byte must
// be one of [-A-Za-z0-9_./], and the path absolute.
func ProxyPath(boot string) (string, error) {
	file := filepath.Join(boot, ProxyPathFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read proxypath: %w", err)
	}
	path := strings.TrimSuffix(string(data), "\n")
	if !isWord(path, "-_./") || !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s: want an absolute path of [-A-Za-z0-9_./], got %q", file, path)
	}
	return path, nil
}

// WriteProxyPath makes the file proxypath in boot say path, all at once.
func WriteProxyPath(boot, path string) error {
	if !isWord(path, "-_./") || !filepath.IsAbs(path) {
		return fmt.Errorf("write proxypath: want an absolute path of [-A-Za-z0-9_./], got %q", path)
	}
	file := filepath.Join(boot, ProxyPathFile)
	fresh := file + ".new"
	if err := os.WriteFile(fresh, []byte(path+"\n"), 0o644); err != nil {
		return fmt.Errorf("write proxypath: %w", err)
	}
	if err := os.Rename(fresh, file); err != nil {
		return errors.Join(fmt.Errorf("write proxypath: %w", err), os.Remove(fresh))
	}
	return nil
}
