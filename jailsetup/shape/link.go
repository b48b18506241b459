package shape

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"emujail/jailsetup/network"
	"emujail/jailsetup/wholefile"
)

// Link is an interface of a jail on a LAN, shaped or not. Its name on this host
// is that of the host end of the jail's interface, which no other has or gets.
type Link struct {
	Splice    network.Splice `json:"splice"` // whose, on which LAN
	NickName  string         `json:"nickname"`
	Interface string         `json:"interface"` // inside: eth1 …
	Shape     Both           `json:"shape"`
	// Spliced says that the pair is there, or is being made. A link that was
	// shaped once stays spliced.
	Spliced bool `json:"spliced"`
}

// ID names the link on this host.
func (l Link) ID() (string, error) {
	e, err := l.Splice.Ends()
	return e.Jail, err
}

// String names the link for people.
func (l Link) String() string {
	return fmt.Sprintf("%s of %s on %s", l.Interface, l.Splice.VNode, l.Splice.LAN)
}

// dir holds the records, one a link.
func dir(runDir string) string { return filepath.Join(runDir, "shape") }

func recordPath(runDir, id string) (string, error) {
	if id == "" || strings.ContainsAny(id, "/.\x00") {
		return "", fmt.Errorf("link %q: not a name of ours", id)
	}
	return filepath.Join(dir(runDir), id+".json"), nil
}

// save writes the record, whole or not at all. It needs no sync: the link
// doesn't outlive the kernel.
func (l Link) save(runDir string) error {
	id, err := l.ID()
	if err != nil {
		return err
	}
	path, err := recordPath(runDir, id)
	if err != nil {
		return err
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir(runDir), 0o700); err != nil {
		return err
	}
	if err := wholefile.Write(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write record of link %s: %w", l, err)
	}
	return nil
}

// forget removes the record, and the directory with the last one.
func forget(runDir, id string) error {
	path, err := recordPath(runDir, id)
	if err != nil {
		return err
	}
	for _, p := range [...]string{path + wholefile.Suffix, path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(dir(runDir)) // fails while others are in it
	return nil
}

// Records reads the records of all links of this host, by their names.
func Records(runDir string) (map[string]Link, error) {
	list := map[string]Link{}
	entries, err := os.ReadDir(dir(runDir))
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		path := filepath.Join(dir(runDir), e.Name())
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // just removed
		}
		if err != nil {
			return nil, err
		}
		var l Link
		if err := json.Unmarshal(data, &l); err != nil {
			return nil, fmt.Errorf("record %s: %w", path, err)
		}
		if name, err := l.ID(); err != nil || name != id {
			return nil, fmt.Errorf("record %s: is of another link, %q", path, name)
		}
		list[id] = l
	}
	return list, nil
}
