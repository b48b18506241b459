package main

import (
	"os"
	"path/filepath"
	"time"

	"emujail/tmcd-mock/pki"
)

// watchEvery is how often files are looked at. Polling sees every kind of change, renames and file systems
// without notification included.
const watchEvery = 500 * time.Millisecond

// files are those whose change means a reload.
func (m *mock) files() []string {
	var list []string
	if m.file != "" {
		list = append(list, m.file)
	}
	if m.pki != "" {
		for _, name := range []string{pki.CAFile, pki.ServerFile, pki.CRLFile} {
			list = append(list, filepath.Join(m.pki, name))
		}
	}
	return list
}

// watch knows how files looked last.
type watch struct {
	paths []string
	seen  []os.FileInfo
}

func newWatch(paths ...string) *watch {
	w := &watch{paths: paths, seen: make([]os.FileInfo, len(paths))}
	w.changed()
	return w
}

// changed reports whether a file looks different from last time. One that is gone for the moment, as
// while an editor saves it, hasn't changed yet.
func (w *watch) changed() bool {
	changed := false
	for i, path := range w.paths {
		now, err := os.Stat(path)
		if err != nil {
			continue
		}
		if was := w.seen[i]; was == nil || !os.SameFile(was, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size() {
			changed = true
		}
		w.seen[i] = now
	}
	return changed
}
