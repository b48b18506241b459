package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Accounts is the reply to accounts: the groups of the project and the users of
// the experiment with their keys (spec §6). No groups and no users is an empty
// reply, which must never be taken for "delete everybody".
type Accounts struct {
	Groups []Group
	Users  []User
}

// Group is an ADDGROUP line.
type Group struct {
	Name  string
	GID   int
	Extra Extra
}

// User is an ADDUSER line with the key lines that follow it.
type User struct {
	Login    string
	Password string // crypt hash; "*" lets nobody in
	UID, GID int
	Root     bool // may become root
	Name     string
	HomeDir  string
	Groups   []int  // besides GID
	Serial   int64  // seconds since 1970: the last change; from version 5
	Email    string // from version 9
	Shell    string // a bare name such as tcsh; from version 10
	Extra    Extra

	Keys    []string // lines for authorized_keys; from version 5
	SFSKeys []string // obsolete

	EmulabPubKey, HomePubKey string // version 4 only
}

// ParseAccounts reads the reply to accounts.
func ParseAccounts(b []byte) (Accounts, error) {
	var a Accounts
	users := map[string]int{}
	err := eachRecord(b, func(c *codec) error {
		var err error
		switch c.tag {
		case "ADDGROUP":
			a.Groups, err = addRecord[Group](c, c.tag, a.Groups)
		case "ADDUSER":
			a.Users, err = addRecord[User](c, c.tag, a.Users)
			if err == nil {
				users[a.Users[len(a.Users)-1].Login] = len(a.Users) - 1
			}
		case "PUBKEY":
			err = a.addKey(c, users)
		case "SFSKEY":
			err = a.addSFSKey(c)
		default:
			err = unexpected(c.tag)
		}
		return err
	})
	return a, err
}

func (g *Group) fields(c *codec) {
	c.must("NAME", "GID")
	c.text("NAME", &g.Name)
	c.number("GID", &g.GID)
	c.extra(&g.Extra)
}

func (u *User) fields(c *codec) {
	c.must("LOGIN", "UID", "GID")
	c.text("LOGIN", &u.Login)
	u.password(c)
	c.number("UID", &u.UID)
	c.number("GID", &u.GID)
	c.flag("ROOT", &u.Root)
	c.quoted("NAME", '"', &u.Name)
	c.text("HOMEDIR", &u.HomeDir)
	u.groups(c)
	if c.since(4) && c.until(4) {
		c.quoted("EMULABPUBKEY", '"', &u.EmulabPubKey)
		c.quoted("HOMEPUBKEY", '"', &u.HomePubKey)
	}
	if c.since(5) {
		u.serial(c)
	}
	if c.since(9) {
		c.quoted("EMAIL", '"', &u.Email)
	}
	if c.since(10) {
		c.text("SHELL", &u.Shell)
	}
	c.extra(&u.Extra)
}

// password is unquoted but for the star of version 5.
func (u *User) password(c *codec) {
	if !c.parsing && c.version == 5 && u.Password == "*" {
		c.key("PSWD")
		c.dst = append(c.dst, "'*'"...)
		return
	}
	c.text("PSWD", &u.Password)
	if c.parsing && u.Password == "'*'" {
		u.Password = "*"
	}
}

// groups is a list in quotes, before version 4 without.
func (u *User) groups(c *codec) {
	if c.parsing {
		list := ""
		c.quoted("GLIST", '"', &list)
		var err error
		if u.Groups, err = parseInts(list); err != nil {
			c.fail(fmt.Errorf("GLIST=: %w", err))
		}
		return
	}
	c.key("GLIST")
	quote := c.version >= 4
	if quote {
		c.dst = append(c.dst, '"')
	}
	for i, gid := range u.Groups {
		if i > 0 {
			c.dst = append(c.dst, ',')
		}
		c.dst = strconv.AppendInt(c.dst, int64(gid), 10)
	}
	if quote {
		c.dst = append(c.dst, '"')
	}
}

func parseInts(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var all []int
	for one := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(one)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", clip(one))
		}
		all = append(all, n)
	}
	return all, nil
}

func (u *User) serial(c *codec) {
	if !c.parsing {
		c.key("SERIAL")
		c.dst = strconv.AppendInt(c.dst, u.Serial, 10)
		return
	}
	if raw, ok := c.take("SERIAL"); ok {
		var err error
		if u.Serial, err = strconv.ParseInt(raw, 10, 64); err != nil {
			c.fail(fmt.Errorf("SERIAL=%q is not a number", clip(raw)))
		}
	}
}

// pubKey is a PUBKEY line. A key's comment may hold any character.
type pubKey struct{ login, key string }

func (p *pubKey) fields(c *codec) {
	c.must("LOGIN")
	c.need("KEY")
	c.text("LOGIN", &p.login)
	c.free("KEY", '"', &p.key)
	var none Extra
	c.extra(&none)
}

func (a *Accounts) addKey(c *codec, users map[string]int) error {
	var p pubKey
	if p.fields(c); c.err != nil {
		return c.err
	}
	i, ok := users[p.login]
	if !ok {
		return fmt.Errorf("PUBKEY of unknown user %q", clip(p.login))
	}
	a.Users[i].Keys = append(a.Users[i].Keys, p.key)
	return nil
}

func (a *Accounts) addSFSKey(c *codec) error {
	if len(a.Users) == 0 {
		return errors.New("SFSKEY without user")
	}
	s := secret{key: "KEY", quote: '"'}
	if s.fields(c); c.err != nil {
		return c.err
	}
	last := &a.Users[len(a.Users)-1]
	last.SFSKeys = append(last.SFSKeys, s.value)
	return nil
}

// Append renders the reply: groups, then each user with the keys.
func (a Accounts) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	for i := range a.Groups {
		c.begin("ADDGROUP")
		a.Groups[i].fields(&c)
		c.end()
	}
	for i := range a.Users {
		u := &a.Users[i]
		c.begin("ADDUSER")
		u.fields(&c)
		c.end()
		u.appendKeys(&c)
	}
	return c.dst
}

func (u *User) appendKeys(c *codec) {
	if !c.since(5) {
		return
	}
	for _, key := range u.Keys {
		p := pubKey{login: u.Login, key: key}
		c.begin("PUBKEY")
		p.fields(c)
		c.end()
	}
	for _, key := range u.SFSKeys {
		s := secret{key: "KEY", quote: '"', value: key}
		c.begin("SFSKEY")
		s.fields(c)
		c.end()
	}
}
