// Package passwd changes the user database of a Debian root: passwd, shadow,
// group and gshadow, as one transaction under the distribution's own locks.
//
//	db, err := passwd.Open(ctx, "/etc")    // takes the locks, reads four files
//	defer db.Close()                       // gives the locks back
//	db.SetUser(passwd.User{Name: "alice", UID: 2001, …}, "$6$…")
//	changed, err := db.Save()              // rewrites what changed, one file at a time
//
// The locks are those of shadow-utils: first an fcntl lock on .pwd.lock, then
// a file NAME.lock for each of the four (lock_linux.go). passwd(1), useradd(8)
// and vipw(8) inside the jail wait for us and we for them.
//
// A file is written beside the old one, synced and renamed over it, so a
// reader sees the old text or the new, whatever happens. The order of the four
// is the promise for a crash between two of them: groups, then shadow, then
// passwd. What can be left is a group without members or a hash without a
// user, never a user without the hash that was meant for it.
//
// Lines that nobody asked to change are kept byte for byte, those that aren't
// well formed too. The package trusts its caller: names and fields must not
// hold ':' or a newline (Valid says so); it isn't for input from the network
// without that check.
package passwd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// User is a line of passwd.
type User struct {
	Name     string
	UID, GID int
	Gecos    string // full name; ':' and newline not allowed
	Home     string // absolute
	Shell    string // absolute
}

// Group is a line of group.
type Group struct {
	Name    string
	GID     int
	Members []string
}

// DB is the opened database. It isn't safe for use by several goroutines.
type DB struct {
	lock                           *lock
	passwd, shadow, group, gshadow *file
}

// Open takes the locks of the database in dir and reads it. It waits for
// other holders until ctx ends. A file that doesn't exist is taken as empty.
func Open(ctx context.Context, dir string) (*DB, error) {
	l, err := acquire(ctx, dir)
	if err != nil {
		return nil, err
	}
	db := &DB{lock: l}
	if err := db.read(dir); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return db, nil
}

func (db *DB) read(dir string) (err error) {
	for _, f := range []struct {
		to   **file
		name string
		mode os.FileMode
	}{
		{&db.passwd, "passwd", 0o644},
		{&db.shadow, "shadow", 0o640},
		{&db.group, "group", 0o644},
		{&db.gshadow, "gshadow", 0o640},
	} {
		if *f.to, err = readFile(filepath.Join(dir, f.name), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// ErrReadOnly is the answer to Save on a DB that was only read.
var ErrReadOnly = errors.New("the user database was opened without its locks")

// Read reads the database in dir without locks, to look things up: files are
// replaced whole, so each is as somebody meant it. Such a DB can't be saved.
func Read(dir string) (*DB, error) {
	db := &DB{}
	return db, db.read(dir)
}

// Close gives the locks back. What wasn't saved is forgotten.
func (db *DB) Close() error { return db.lock.release() }

// Save writes the files that changed, in the order that is safe at a crash,
// and says whether there were any.
func (db *DB) Save() (changed bool, err error) {
	if db.lock == nil {
		return false, ErrReadOnly
	}
	for _, f := range []*file{db.group, db.gshadow, db.shadow, db.passwd} {
		if !f.changed() {
			continue
		}
		changed = true
		if err := f.write(); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// User looks a login up.
func (db *DB) User(name string) (User, bool) {
	i := db.passwd.find(name)
	if i < 0 {
		return User{}, false
	}
	return parseUser(db.passwd.lines[i])
}

// UserByID looks up the first user with that number.
func (db *DB) UserByID(uid int) (User, bool) {
	for _, l := range db.passwd.lines {
		if u, ok := parseUser(l); ok && u.UID == uid {
			return u, true
		}
	}
	return User{}, false
}

// SetUser adds the user, or replaces the line of that name, and sets the
// password hash. The ageing fields of a shadow line that exists stay.
func (db *DB) SetUser(u User, hash string) {
	db.passwd.set(u.Name, strings.Join([]string{
		u.Name, "x", strconv.Itoa(u.UID), strconv.Itoa(u.GID), u.Gecos, u.Home, u.Shell}, ":"))
	if i := db.shadow.find(u.Name); i >= 0 {
		if f := strings.Split(db.shadow.lines[i], ":"); len(f) == 9 {
			f[1] = hash
			db.shadow.set(u.Name, strings.Join(f, ":"))
			return
		}
	}
	// The third field, the day of the last change, is left empty: ageing off,
	// and a second run writes the same line on another day.
	db.shadow.set(u.Name, u.Name+":"+hash+"::0:99999:7:::")
}

// Hash returns the password hash of a login, as shadow has it.
func (db *DB) Hash(name string) (string, bool) {
	i := db.shadow.find(name)
	if i < 0 {
		return "", false
	}
	f := strings.Split(db.shadow.lines[i], ":")
	if len(f) < 2 {
		return "", false
	}
	return f[1], true
}

// DeleteUser removes the user's lines and its name from all member lists.
func (db *DB) DeleteUser(name string) {
	db.passwd.remove(name)
	db.shadow.remove(name)
	for _, g := range db.Groups() {
		db.RemoveMember(g.Name, name)
	}
}

// Groups returns all well-formed groups in the order of the file.
func (db *DB) Groups() []Group {
	var gs []Group
	for _, l := range db.group.lines {
		if g, ok := parseGroup(l); ok {
			gs = append(gs, g)
		}
	}
	return gs
}

// Group looks a group up by name.
func (db *DB) Group(name string) (Group, bool) {
	i := db.group.find(name)
	if i < 0 {
		return Group{}, false
	}
	return parseGroup(db.group.lines[i])
}

// GroupByID looks up the first group with that number.
func (db *DB) GroupByID(gid int) (Group, bool) {
	for _, g := range db.Groups() {
		if g.GID == gid {
			return g, true
		}
	}
	return Group{}, false
}

// SetGroup adds the group or replaces the line of that name.
func (db *DB) SetGroup(g Group) {
	db.group.set(g.Name, fmt.Sprintf("%s:x:%d:%s", g.Name, g.GID, strings.Join(g.Members, ",")))
	password, admins := "!", ""
	if i := db.gshadow.find(g.Name); i >= 0 {
		if f := strings.Split(db.gshadow.lines[i], ":"); len(f) == 4 {
			password, admins = f[1], f[2]
		}
	}
	db.gshadow.set(g.Name, strings.Join([]string{g.Name, password, admins, strings.Join(g.Members, ",")}, ":"))
}

// DeleteGroup removes the group's lines.
func (db *DB) DeleteGroup(name string) {
	db.group.remove(name)
	db.gshadow.remove(name)
}

// AddMember puts a login on the member list of a group; a group that doesn't
// exist or has that member already is left alone.
func (db *DB) AddMember(group, login string) {
	g, ok := db.Group(group)
	if !ok || slices.Contains(g.Members, login) {
		return
	}
	g.Members = append(g.Members, login)
	db.SetGroup(g)
}

// RemoveMember takes a login off the member list of a group.
func (db *DB) RemoveMember(group, login string) {
	g, ok := db.Group(group)
	if !ok || !slices.Contains(g.Members, login) {
		return
	}
	g.Members = slices.DeleteFunc(g.Members, func(m string) bool { return m == login })
	db.SetGroup(g)
}

// MaxName is the longest login or group name, as in useradd(8).
const MaxName = 32

// Valid says whether s can be a login or a group name: a letter or '_', then
// letters, digits and "_.-", at most MaxName. Capitals are allowed, since the
// testbed's project names have them.
func Valid(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.')) {
			return false
		}
	}
	return true
}

// ValidField says whether s can stand in a field of the database.
func ValidField(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f })
}

func parseUser(line string) (User, bool) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return User{}, false
	}
	uid, err1 := strconv.Atoi(f[2])
	gid, err2 := strconv.Atoi(f[3])
	if err1 != nil || err2 != nil {
		return User{}, false
	}
	return User{Name: f[0], UID: uid, GID: gid, Gecos: f[4], Home: f[5], Shell: f[6]}, true
}

func parseGroup(line string) (Group, bool) {
	f := strings.Split(line, ":")
	if len(f) != 4 {
		return Group{}, false
	}
	gid, err := strconv.Atoi(f[2])
	if err != nil {
		return Group{}, false
	}
	g := Group{Name: f[0], GID: gid}
	if f[3] != "" {
		g.Members = strings.Split(f[3], ",")
	}
	return g, true
}
