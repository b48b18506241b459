package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// proxyPathFile is the file, in the boot directory, that a jail has and its
// host has not.
const proxyPathFile = "proxypath"

// ProxyPath returns the socket that the file proxypath in boot names, and ""
// if there is no such file. One final newline is allowed; else every byte must
// be one of [-A-Za-z0-9_./], and the path absolute.
func ProxyPath(boot string) (string, error) {
	file := filepath.Join(boot, proxyPathFile)
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
