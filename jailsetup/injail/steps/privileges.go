package steps

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// sudoersFile lets the users with ROOT=1 become root without a password: many
// have none here.
const sudoersFile = "/etc/sudoers.d/emulab"

// sudoers writes one line for each user of ours that tmcd gives root.
func (j *accountJob) sudoers() error {
	if _, err := os.Stat(j.path(path.Dir(sudoersFile))); errors.Is(err, fs.ErrNotExist) {
		return nil // no sudo in this root
	}
	var logins []string
	for _, u := range j.want.Users {
		if _, ours := j.users[u.Login]; ours && u.Root {
			logins = append(logins, u.Login)
		}
	}
	slices.Sort(logins)
	b := []byte("# Written by Emulab: who may become root in this node.\n")
	for _, l := range logins {
		b = fmt.Appendf(b, "%s ALL=(ALL:ALL) NOPASSWD: ALL\n", l)
	}
	changed, err := j.put(sudoersFile, b, 0o440, false)
	if changed {
		j.did("%d users may become root", len(logins))
	}
	return err
}

// readShells returns the login shells that this root has.
func readShells(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
			all = append(all, line)
		}
	}
	return all, nil
}

// shell finds the path of a login shell: what /etc/shells has under that name
// or path and exists, else tcsh (jail.md §3.5), else what there is.
func (j *accountJob) shell(name string) string {
	for _, s := range j.shells {
		if (path.Base(s) == name || s == name) && j.isExecutable(s) {
			return s
		}
	}
	for _, s := range []string{"/bin/tcsh", "/usr/bin/tcsh", "/bin/bash"} {
		if j.isExecutable(s) {
			return s
		}
	}
	return "/bin/sh"
}

func (n *Node) isExecutable(p string) bool {
	st, err := os.Stat(n.path(p))
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
