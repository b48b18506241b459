package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"emujail/jailsetup/injail/steps/passwd"
	"emujail/protocol"
)

// lockWait bounds the wait for another program that changes the users.
const lockWait = 15 * time.Second

// maxID is the highest user or group number: a jail has 65536 of its own, and
// the last two mean nobody.
const maxID = 65533

// accounts adds, updates and deletes groups and users (jail.md §3.5): the
// difference between what tmcd lists and what we made earlier. Accounts that
// we didn't make are not touched. No lines at all: nothing happens, so that a
// server's mistake doesn't delete everybody.
//
// A crash at any point leaves accounts that the next run recognizes: what is
// about to be made is recorded first as pending, the passwd files change
// atomically, homes follow, and the record is made final last.
func accounts(ctx context.Context, r *Run) error {
	reply, err := r.cached("accounts")
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(reply)) == 0 {
		return skipped("no accounts")
	}
	want, err := protocol.ParseAccounts(reply)
	r.warnAll(err)
	job := &accountJob{Run: r, want: want, whole: err == nil}
	changed, err := job.change(ctx)
	if err != nil {
		return err
	}
	return errors.Join(job.homes(changed), job.sudoers(), job.save())
}

// accountJob is one run over the accounts.
type accountJob struct {
	*Run
	want   protocol.Accounts
	whole  bool // every line of the reply was understood: who is missing is meant to be
	users  records
	groups records
	db     *passwd.DB
	shells []string
	fresh  map[string]bool // groups made by this run
	// Records to be dropped once the accounts are gone: dropped earlier, a
	// crash in between would make strangers of our own accounts.
	goneUsers, goneGroups []string
}

// load reads the records, once the files are locked: what another run makes
// until then it records until then.
func (j *accountJob) load() (err error) {
	if j.users, err = loadRecords(j.path(passDB)); err != nil {
		return err
	}
	if j.groups, err = loadRecords(j.path(groupDB)); err != nil {
		return err
	}
	j.shells, err = readShells(j.path("/etc/shells"))
	j.fresh = make(map[string]bool)
	return err
}

// change edits the files of users and groups under their locks, and returns
// the users whose homes are to be seen to.
func (j *accountJob) change(ctx context.Context) (changed []protocol.User, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if j.db, err = passwd.Open(ctx, j.path("/etc")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.db.Close()) }()
	if err := j.load(); err != nil {
		return nil, err
	}
	j.addGroups()
	if j.whole {
		j.deleteGroups()
		j.deleteUsers()
	} else {
		j.warn("the reply has lines that can't be read: nobody is deleted")
	}
	for _, u := range j.want.Users {
		if j.user(u) {
			changed = append(changed, u)
		}
	}
	if err := j.save(); err != nil { // what is pending, before it is made
		return nil, err
	}
	if _, err = j.db.Save(); err != nil {
		return nil, err
	}
	for _, login := range j.goneUsers {
		delete(j.users, login)
	}
	for _, name := range j.goneGroups {
		delete(j.groups, name)
	}
	return changed, nil
}

func (j *accountJob) save() error {
	return errors.Join(j.saveRecords(passDB, j.users), j.saveRecords(groupDB, j.groups))
}

func (j *accountJob) addGroups() {
	for _, g := range j.want.Groups {
		if !passwd.Valid(g.Name) || g.GID <= 0 || g.GID > maxID {
			j.warn("group %q with number %d left out", g.Name, g.GID)
			continue
		}
		if old, ok := j.db.Group(g.Name); ok {
			if old.GID != g.GID {
				j.warn("group %s exists with number %d, not %d", g.Name, old.GID, g.GID)
			}
			continue
		}
		if other, ok := j.db.GroupByID(g.GID); ok {
			j.warn("group %s left out: number %d is %s", g.Name, g.GID, other.Name)
			continue
		}
		j.db.SetGroup(passwd.Group{Name: g.Name, GID: g.GID})
		j.groups[g.Name] = record{id: g.GID}
		j.fresh[g.Name] = true
		j.did("group %s added", g.Name)
	}
}

func (j *accountJob) deleteGroups() {
	for _, name := range j.groups.names() {
		if slices.ContainsFunc(j.want.Groups, func(g protocol.Group) bool { return g.Name == name }) {
			continue
		}
		g, ok := j.db.Group(name)
		if ok && g.GID != j.groups[name].id {
			j.warn("group %s has another number now: not ours any more", name)
		} else if ok {
			j.db.DeleteGroup(name)
			j.did("group %s deleted", name)
		}
		j.goneGroups = append(j.goneGroups, name)
	}
}

func (j *accountJob) deleteUsers() {
	for _, login := range j.users.names() {
		if slices.ContainsFunc(j.want.Users, func(u protocol.User) bool { return u.Login == login }) {
			continue
		}
		u, ok := j.db.User(login)
		switch {
		case !ok:
			j.warn("user %s is gone already", login)
		case u.UID != j.users[login].id:
			j.warn("user %s has another number now: not ours any more", login)
		default:
			j.db.DeleteUser(login) // the home stays
			j.did("user %s deleted", login)
		}
		j.goneUsers = append(j.goneUsers, login)
	}
}

// user adds or updates one account, and says whether its home is to be seen to.
func (j *accountJob) user(u protocol.User) bool {
	if err := checkUser(u); err != nil {
		j.warn("user %q left out: %v", u.Login, err)
		return false
	}
	old, exists := j.db.User(u.Login)
	rec, ours := j.users[u.Login]
	switch {
	case exists && !ours:
		j.warn("user %s existed before: left alone", u.Login)
		return false
	case exists && old.UID != u.UID:
		j.warn("user %s exists with number %d, not %d: left alone", u.Login, old.UID, u.UID)
		return false
	case exists && !rec.pending && rec.serial == u.Serial:
		j.join(u, j.fresh) // groups that weren't there when the user was made
		return false
	case !exists && j.taken(u):
		return false
	}
	hash := u.Password
	if hash == "" {
		hash = "*" // an empty field would let anybody in
	}
	j.db.SetUser(passwd.User{Name: u.Login, UID: u.UID, GID: u.GID, Gecos: u.Name, Home: u.HomeDir,
		Shell: j.shell(u.Shell)}, hash)
	j.join(u, nil)
	j.users[u.Login] = record{id: u.UID, serial: u.Serial, pending: true}
	if exists {
		j.did("user %s updated", u.Login)
	} else {
		j.did("user %s added", u.Login)
	}
	return true
}

func checkUser(u protocol.User) error {
	switch {
	case !passwd.Valid(u.Login):
		return errors.New("not a login name")
	case u.UID <= 0 || u.UID > maxID || u.GID < 0 || u.GID > maxID:
		return fmt.Errorf("numbers %d, %d: want 1 to %d", u.UID, u.GID, maxID)
	case !passwd.ValidField(u.Name) || !passwd.ValidField(u.Password):
		return errors.New("name or password holds a colon or a control character")
	case !passwd.ValidField(u.HomeDir) || len(u.HomeDir) < 2 || u.HomeDir[0] != '/':
		return fmt.Errorf("home %q: want an absolute path", u.HomeDir)
	}
	return nil
}

// taken says that another account has the number.
func (j *accountJob) taken(u protocol.User) bool {
	other, ok := j.db.UserByID(u.UID)
	if ok {
		j.warn("user %s left out: number %d is %s", u.Login, u.UID, other.Name)
	}
	return ok
}

// join makes the user a member of the groups it should be in, and of no other
// of ours. With only, groups outside it are left as they are. Groups that
// aren't ours, the administrators' apart, are never left.
func (j *accountJob) join(u protocol.User, only map[string]bool) {
	admin := j.adminGroup()
	in := map[string]bool{}
	for _, gid := range u.Groups {
		if g, ok := j.db.GroupByID(gid); ok {
			in[g.Name] = true
		} else {
			j.warn("user %s: no group with number %d", u.Login, gid)
		}
	}
	if u.Root && admin != "" {
		in[admin] = true
	}
	for _, g := range j.db.Groups() {
		_, ours := j.groups[g.Name]
		switch {
		case only != nil && !only[g.Name]:
		case slices.Contains(j.goneGroups, g.Name):
		case in[g.Name]:
			j.db.AddMember(g.Name, u.Login)
		case ours || g.Name == admin:
			j.db.RemoveMember(g.Name, u.Login)
		}
	}
}

// adminGroup is whose members may become root.
func (j *accountJob) adminGroup() string {
	for _, name := range []string{"sudo", "wheel", "root"} {
		if _, ok := j.db.Group(name); ok {
			return name
		}
	}
	return ""
}

// resetAccounts is for making images: the users and groups that we made go,
// and both databases.
func resetAccounts(ctx context.Context, r *Run) error {
	j := &accountJob{Run: r}
	if err := j.deleteAll(ctx); err != nil {
		return err
	}
	return r.remove(passDB, groupDB, sudoersFile)
}

// deleteAll takes what we made out of the files of users and groups.
func (j *accountJob) deleteAll(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if j.db, err = passwd.Open(ctx, j.path("/etc")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.db.Close()) }()
	if err := j.load(); err != nil {
		return err
	}
	j.deleteUsers()
	j.deleteGroups()
	_, err = j.db.Save()
	return err
}
