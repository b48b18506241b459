package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emujail/tmcc/client"
)

// A remote host stands outside of the testbed's own network (jail.md §1.1): it
// asks tmcd by TLS alone, mounts no project directories, and its vnodes are
// joined by tunnels. Stub accounts, ROUTING=0 and DEVMEM=0 need no word here:
// each jail has the first, and boss says the rest.

// remoteMarker is the file that the original's installer leaves on such a host.
const remoteMarker = "isrem"

// findRemote makes the host remote if its marker lies in one of the
// directories of the testbed's files.
func (s *Site) findRemote(dirs []string) error {
	for _, dir := range dirs {
		_, err := os.Stat(filepath.Join(dir, remoteMarker))
		if err == nil {
			s.Remote = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", remoteMarker, err)
		}
	}
	if s.Remote && s.Certificates == "" {
		return errors.New("certificates: a remote host asks tmcd by TLS alone: want the directory of its certificate")
	}
	return nil
}

// markerDirs are where the marker may lie.
func markerDirs() []string { return client.ConfigDirs() }
