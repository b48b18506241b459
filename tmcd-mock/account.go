package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/store"
	"emujail/tmcd-mock/testbed"
)

// firstUID is where the numbers of accounts made live begin.
const firstUID = 20000

// account adds an account to a project, or changes it.
func (m *mock) account(a manage.Account) error {
	if err := checkAccount(a); err != nil {
		return err
	}
	var changes []testbed.Change
	var err error
	m.tb.Read(func(db *testbed.DB) { changes, err = accountChanges(db, a) })
	if err != nil {
		return err
	}
	m.tb.Apply(changes)
	m.event(store.ChangeEvent, "", "account "+a.Login+" of "+a.Project)
	return nil
}

func checkAccount(a manage.Account) error {
	if ok, _ := regexp.MatchString(`^[a-z_][a-z0-9_-]{0,31}$`, a.Login); !ok {
		return fmt.Errorf("account %q: want a login of small letters, digits, - and _", a.Login)
	}
	if trusts := []string{"", "none", "user", "local_root", "group_root", "project_root"}; !slices.Contains(trusts, a.Trust) {
		return fmt.Errorf("account %s: trust %q: want one of %s", a.Login, a.Trust, strings.Join(trusts[1:], ", "))
	}
	for _, text := range append([]string{a.Name, a.Shell}, a.Keys...) {
		if strings.ContainsAny(text, "\n\r\x00\"") {
			return fmt.Errorf("account %s: %q: one line without quotes is wanted", a.Login, text)
		}
	}
	if a.UID < 0 || a.UID > 1<<31-1 {
		return fmt.Errorf("account %s: uid %d: want a positive number", a.Login, a.UID)
	}
	return nil
}

// accountChanges are the rows that the account is made of, and those of the nodes that shall hear of it.
func accountChanges(db *testbed.DB, a manage.Account) ([]testbed.Change, error) {
	project := db.First("projects", "pid", a.Project)
	if project.IsZero() {
		return nil, fmt.Errorf("account %s: the testbed has no project %q", a.Login, a.Project)
	}
	user := db.First("users", "uid", a.Login)
	uid, err := accountUID(db, a, user)
	if err != nil {
		return nil, err
	}
	trust := a.Trust
	if trust == "" {
		trust = "user"
	}
	gid := a.Project
	idx := int64(uid)
	if !user.IsZero() {
		idx = int64(user.Int("uid_idx"))
	}
	member := testbed.Columns{"uid_idx": idx, "pid_idx": project.Value("pid_idx"), "trust": trust}
	for group := range db.Where("groups", "gid", gid) {
		if group.Is("pid", a.Project) {
			member["gid_idx"] = group.Value("gid_idx")
		}
	}
	changes := []testbed.Change{
		{Op: testbed.Upsert, Table: "users", Where: map[string]string{"uid": a.Login}, Set: userColumns(db, a, user, uid, idx)},
		{Op: testbed.Upsert, Table: "group_membership", Where: map[string]string{"uid": a.Login, "pid": a.Project, "gid": gid}, Set: member},
	}
	if len(a.Keys) > 0 {
		changes = append(changes, testbed.Change{Op: testbed.Delete, Table: "user_pubkeys", Where: map[string]string{"uid": a.Login}})
	}
	for i, key := range a.Keys {
		changes = append(changes, testbed.Change{Op: testbed.Upsert, Table: "user_pubkeys",
			Where: map[string]string{"uid": a.Login, "idx": strconv.Itoa(i + 1)}, Set: testbed.Columns{"uid_idx": idx, "pubkey": key}})
	}
	for r := range db.Where("reserved", "pid", a.Project) {
		id := r.Text("node_id")
		count := db.First("nodes", "node_id", id).Int("update_accounts")
		changes = append(changes, testbed.Change{Op: testbed.Update, Table: "nodes", Where: map[string]string{"node_id": id},
			Set: testbed.Columns{"update_accounts": int64(count + 1)}})
	}
	return changes, nil
}

// accountUID is the one asked for, the one the account has, or the next free one.
func accountUID(db *testbed.DB, a manage.Account, user testbed.Row) (int, error) {
	next := firstUID
	for u := range db.Rows("users") {
		if n := u.Int("unix_uid"); a.UID != 0 && n == a.UID && !u.Is("uid", a.Login) {
			return 0, fmt.Errorf("account %s: uid %d is %s's", a.Login, a.UID, u.Text("uid"))
		} else if n >= next {
			next = n + 1
		}
	}
	switch {
	case a.UID != 0:
		return a.UID, nil
	case !user.IsZero():
		return user.Int("unix_uid"), nil
	}
	return next, nil
}

func userColumns(db *testbed.DB, a manage.Account, user testbed.Row, uid int, idx int64) testbed.Columns {
	set := testbed.Columns{"unix_uid": int64(uid), "usr_modified": time.Now().UTC().Format(time.DateTime)}
	if user.IsZero() {
		set = testbed.Columns{"uid_idx": idx, "uid_uuid": "uuid-" + a.Login, "unix_uid": int64(uid), "usr_name": a.Login,
			"usr_email": a.Login + "@" + db.Site.Domain, "usr_pswd": "*", "usr_w_pswd": nil, "status": "active",
			"admin": int64(0), "webonly": int64(0), "usr_shell": "bash", "widearearoot": int64(0), "wideareajailroot": int64(0),
			"usr_modified": set["usr_modified"]}
	}
	if a.Name != "" {
		set["usr_name"] = a.Name
	}
	if a.Shell != "" {
		set["usr_shell"] = a.Shell
	}
	return set
}
