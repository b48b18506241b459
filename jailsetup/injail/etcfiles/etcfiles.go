// Package etcfiles holds the files that every jail's /etc starts with: what
// makes Debian's programs behave in a jail, written for it and not taken from
// the host (spec/jail.md §3.2).
//
// They lie below etc/ in this folder under their own names, so they can be
// read, and are checked by the tests, where they are. The builder of a root
// copies them into the template, root:root:
//
//	for _, f := range etcfiles.Files() { write(root+f.Path, f.Data, f.Mode) }
//
// What a jail adds at its start (its host name, its keys, its accounts) isn't
// here; nor is what comes from the host by the allow-list (pam.d, shells,
// services, …).
package etcfiles

import (
	"embed"
	"io/fs"
)

//go:embed etc
var tree embed.FS

// File is one file of a new jail.
type File struct {
	Path string // absolute, as the jail sees it
	Mode fs.FileMode
	Data []byte
}

// Files lists the files in the order of their paths. The directories that they
// need are for the caller to make: /etc and /etc/ssh.
func Files() []File {
	var files []File
	// Reading what is embedded can't fail; a test counts the files.
	_ = fs.WalkDir(tree, "etc", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := tree.ReadFile(path)
		files = append(files, File{Path: "/" + path, Mode: modeOf(path), Data: data})
		return err
	})
	return files
}

// modeOf is 0755 for the scripts that people may run themselves.
func modeOf(path string) fs.FileMode {
	if path == "etc/rc" || path == "etc/rc.local" {
		return 0o755
	}
	return 0o644
}
