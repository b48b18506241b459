package session

import (
	"os"
	"path/filepath"
	"strings"

	"emujail/jailsetup/injail/console"
)

// The search paths of a login, as Debian's login.defs has them.
const (
	rootPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	userPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
)

// command is what a session runs, worked out as su would: nothing of PID 1's
// environment gets in.
type command struct {
	path string // the file; no "/" in it: not found
	argv []string
	env  []string
	dir  string
}

// plan works out the command of a START for a user. exists tells whether a
// path is a file that somebody may execute.
func plan(s console.Start, u user, exists func(string) bool) command {
	search := userPath
	if u.UID == 0 {
		search = rootPath
	}
	term := s.Term
	if term == "" || strings.ContainsAny(term, "\x00\n") {
		term = "dumb"
	}
	c := command{dir: s.Dir, env: []string{
		"HOME=" + u.Home, "SHELL=" + u.Shell, "USER=" + u.Name, "LOGNAME=" + u.Name,
		"PATH=" + search, "TERM=" + term,
	}}
	if c.dir == "" {
		c.dir = u.Home
	}
	if len(s.Argv) > 0 {
		c.argv, c.path = s.Argv, find(s.Argv[0], search, exists)
		return c
	}
	c.path = u.Shell
	if u.UID == 0 && !exists(c.path) { // the operator gets in, whatever chsh did
		c.path = "/bin/sh"
	}
	c.argv = []string{"-" + filepath.Base(c.path)}
	return c
}

// find looks name up in a search path; a name with a slash stands for itself.
func find(name, search string, exists func(string) bool) string {
	if name == "" || strings.Contains(name, "/") {
		return name
	}
	for dir := range strings.SplitSeq(search, ":") {
		if p := dir + "/" + name; exists(p) {
			return p
		}
	}
	return name
}

// executable tells whether path is a regular file with an x bit.
func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
