package session

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxAccounts is the longest passwd or group file that is read, in bytes.
const maxAccounts = 4 << 20

// user is one line of a passwd file, with the groups it is a member of.
type user struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32 // GID first
}

// files hold a jail's accounts, as bytes: they belong to jail root and may say
// anything.
type files struct{ passwd, group []byte }

// readFiles reads etc/passwd and etc/group below root. A missing or strange
// file counts as empty, so that the operator can enter a broken jail as root.
func readFiles(root string) files {
	return files{readRegular(root + "/etc/passwd"), readRegular(root + "/etc/group")}
}

// readRegular reads a file that may have been replaced by a fifo or a device,
// which must not make PID 1 wait.
func readRegular(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return nil
	}
	return b
}

// lookup finds a user by name or number. Root is always there, as is any
// number: a jail without its passwd file must still be enterable.
func (fs files) lookup(name string) (user, error) {
	if name == "" {
		name = "root"
	}
	number, numeric := parseID(name)
	for line := range strings.Lines(string(fs.passwd)) {
		u, ok := parseUser(line)
		if ok && (u.Name == name || numeric && u.UID == number) {
			u.Groups = fs.groups(u)
			return u, nil
		}
	}
	if name == "root" {
		number, numeric = 0, true
	}
	if !numeric {
		return user{}, fmt.Errorf("no user %q in the jail's /etc/passwd", name)
	}
	u := user{Name: name, Home: "/", Shell: "/bin/sh", UID: number, GID: number}
	u.Groups = fs.groups(u)
	return u, nil
}

// parseUser reads "name:password:uid:gid:full name:home:shell".
func parseUser(line string) (user, bool) {
	f := strings.Split(strings.TrimRight(line, "\n"), ":")
	if len(f) != 7 || f[0] == "" || strings.ContainsAny(line, "\x00") {
		return user{}, false
	}
	uid, ok1 := parseID(f[2])
	gid, ok2 := parseID(f[3])
	if !ok1 || !ok2 {
		return user{}, false
	}
	u := user{Name: f[0], UID: uid, GID: gid, Home: f[5], Shell: f[6]}
	if u.Home == "" {
		u.Home = "/"
	}
	if u.Shell == "" {
		u.Shell = "/bin/sh"
	}
	return u, true
}

// maxGroups is the kernel's limit of a process.
const maxGroups = 65536

// groups returns u's own group and those that name it as a member.
func (fs files) groups(u user) []uint32 {
	gids := []uint32{u.GID}
	for line := range strings.Lines(string(fs.group)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 4 {
			continue
		}
		gid, ok := parseID(f[2])
		if !ok || gid == u.GID || len(gids) == maxGroups {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if member == u.Name {
				gids = append(gids, gid)
				break
			}
		}
	}
	return gids
}

// groupID returns the number of the group of that name, or fallback.
func (fs files) groupID(name string, fallback uint32) uint32 {
	for line := range strings.Lines(string(fs.group)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) == 4 && f[0] == name {
			if gid, ok := parseID(f[2]); ok {
				return gid
			}
		}
	}
	return fallback
}

// parseID reads an id. The highest number means "none" to the kernel.
func parseID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != 1<<32-1
}
