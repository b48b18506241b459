package steps

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	groupLine = "ADDGROUP NAME=jails GID=6001\n"
	aliceLine = "ADDUSER LOGIN=alice PSWD=$1$x$y UID=2001 GID=6001 ROOT=1 NAME=\"Alice A\" HOMEDIR=/users/alice GLIST=\"\" SERIAL=100 EMAIL=\"alice@example.net\" SHELL=bash\n"
	bobLine   = "ADDUSER LOGIN=bob PSWD=* UID=2002 GID=6001 ROOT=0 NAME=\"Bob\" HOMEDIR=/users/bob GLIST=\"\" SERIAL=100 EMAIL=\"\" SHELL=tcsh\n"
	aliceKey  = "PUBKEY LOGIN=alice KEY=\"ssh-ed25519 AAAA alice@home\"\n"
)

// replaced is a line with words changed: "SERIAL=100>SERIAL=101".
func replaced(line string, changes ...string) string {
	for _, c := range changes {
		old, now, _ := strings.Cut(c, ">")
		line = strings.Replace(line, old, now, 1)
	}
	return line
}

func TestAccountsSecondReply(t *testing.T) {
	first := groupLine + aliceLine + aliceKey + bobLine
	for _, row := range []struct {
		name, then string
		check      func(t *testing.T, j *jail, r Result)
	}{
		{"user gone", groupLine + aliceLine + aliceKey, func(t *testing.T, j *jail, r Result) {
			j.lacks("/etc/passwd", "bob")
			j.lacks("/etc/shadow", "bob")
			j.lacks("/var/emulab/db/passdb", "bob")
			if _, err := os.Stat(j.path("/users/bob/.profile")); err != nil {
				t.Error("the home went with the user")
			}
		}},
		{"all gone but a group", groupLine, func(t *testing.T, j *jail, r Result) {
			j.lacks("/etc/passwd", "alice")
			j.lacks("/etc/group", "alice")
			j.lacks("/etc/sudoers.d/emulab", "alice")
			j.has("/etc/passwd", "mallory")
		}},
		{"group gone", replaced(aliceLine, "GID=6001>GID=1000"), func(t *testing.T, j *jail, r Result) {
			j.lacks("/etc/group", "jails")
			j.lacks("/etc/gshadow", "jails")
		}},
		{"nothing at all", "", func(t *testing.T, j *jail, r Result) {
			j.has("/etc/passwd", "alice")
			j.has("/etc/passwd", "bob")
			if r.Status != Skipped {
				t.Errorf("%+v", r)
			}
		}},
		{"a line that can't be read", groupLine + "ADDUSER LOGIN=alice\n", func(t *testing.T, j *jail, r Result) {
			j.has("/etc/passwd", "alice") // else a mistake of the server deletes everybody
			j.has("/etc/passwd", "bob")
			if len(r.Warnings) == 0 {
				t.Error("no warning")
			}
		}},
		{"new serial", groupLine + replaced(aliceLine, "SERIAL=100>SERIAL=101", "ROOT=1>ROOT=0", "SHELL=bash>SHELL=sh", "PSWD=$1$x$y>PSWD=$6$n") +
			"PUBKEY LOGIN=alice KEY=\"ssh-rsa BBBB\"\n" + bobLine, func(t *testing.T, j *jail, r Result) {
			j.has("/etc/passwd", "alice:x:2001:6001:Alice A:/users/alice:/bin/sh")
			j.has("/etc/shadow", "alice:$6$n:")
			j.lacks("/etc/sudoers.d/emulab", "alice")
			j.lacks("/etc/group", "alice")
			j.has("/users/alice/.ssh/authorized_keys", "BBBB")
			j.has("/users/alice/.ssh/authorized_keys.old", "AAAA")
		}},
		{"old serial, other words", groupLine + replaced(aliceLine, "SHELL=bash>SHELL=sh") + bobLine, func(t *testing.T, j *jail, r Result) {
			j.has("/etc/passwd", "/users/alice:/bin/bash")
			if len(r.Changes) != 0 {
				t.Errorf("changes %q", r.Changes)
			}
		}},
		{"no keys of anybody", groupLine + replaced(aliceLine, "SERIAL=100>SERIAL=101") + bobLine, func(t *testing.T, j *jail, r Result) {
			j.has("/users/alice/.ssh/authorized_keys", "AAAA")
		}},
		{"a group that comes later", groupLine + "ADDGROUP NAME=team GID=6002\n" + replaced(aliceLine, `GLIST=""`+">"+`GLIST="6002"`) + aliceKey + bobLine,
			func(t *testing.T, j *jail, r Result) { j.has("/etc/group", "team:x:6002:alice") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			j.tmcd.set("accounts", first)
			j.boot()
			j.tmcd.set("accounts", row.then)
			row.check(t, j, step(t, j.boot(), "accounts"))
			if r := step(t, j.boot(), "accounts"); len(r.Changes) != 0 {
				t.Errorf("the second run changes %q", r.Changes)
			}
		})
	}
}

func (j *jail) has(path, text string) {
	j.tb.Helper()
	if got := j.read(path); !strings.Contains(got, text) {
		j.tb.Errorf("%s has no %q:\n%s", path, text, got)
	}
}

func (j *jail) lacks(path, text string) {
	j.tb.Helper()
	if got := j.read(path); strings.Contains(got, text) {
		j.tb.Errorf("%s has %q:\n%s", path, text, got)
	}
}

func TestForeignAccounts(t *testing.T) {
	for _, row := range []struct{ name, reply, warn string }{
		{"a user that exists", groupLine + replaced(aliceLine, "LOGIN=alice>LOGIN=mallory"), "existed before"},
		{"root", groupLine + replaced(aliceLine, "LOGIN=alice>LOGIN=root", "UID=2001>UID=0"), "want 1 to"},
		{"uid of root", groupLine + replaced(aliceLine, "UID=2001>UID=0"), "want 1 to"},
		{"uid beyond the jail", groupLine + replaced(aliceLine, "UID=2001>UID=70000"), "want 1 to"},
		{"uid of another", groupLine + replaced(aliceLine, "UID=2001>UID=1000"), "number 1000 is mallory"},
		{"a group that exists", replaced(groupLine, "NAME=jails>NAME=sudo"), "exists with number 27"},
		{"gid of another", replaced(groupLine, "GID=6001>GID=27"), "number 27 is sudo"},
		{"a line in the name", replaced(aliceLine, "Alice A>A:0:0"), "holds a colon"},
		{"not a login", replaced(aliceLine, "LOGIN=alice>LOGIN=a%b"), "not a login name"},
		{"relative home", replaced(aliceLine, "HOMEDIR=/users/alice>HOMEDIR=users"), "absolute path"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			before := j.read("/etc/passwd")
			j.tmcd.set("accounts", row.reply)
			r := step(t, j.boot(), "accounts")
			if !strings.Contains(strings.Join(r.Warnings, "\n"), row.warn) {
				t.Errorf("warnings %q, want %q", r.Warnings, row.warn)
			}
			if got := j.read("/etc/passwd"); got != before {
				t.Errorf("passwd changed:\n%s", got)
			}
			j.lacks("/etc/group", "sudo:x:27:alice")
		})
	}
}

// TestTakenOver: an account of ours that somebody made his own is left alone.
func TestTakenOver(t *testing.T) {
	j := newJail(t)
	j.boot()
	text := replaced(j.read("/etc/passwd"), "alice:x:2001>alice:x:3001")
	mustWrite(t, j.path("/etc/passwd"), text)
	j.tmcd.set("accounts", groupLine+bobLine)
	r := step(t, j.boot(), "accounts")
	j.has("/etc/passwd", "alice:x:3001")
	j.lacks("/var/emulab/db/passdb", "alice")
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "another number") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// TestPendingIsFinished: a crash after the record or after the files, before
// the home, is made good by the next run.
func TestPendingIsFinished(t *testing.T) {
	for _, row := range []struct{ name, passwd string }{
		{"before the files", ""},
		{"after the files", "alice:x:2001:6001:Alice A:/users/alice:/bin/bash\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			mustWrite(t, j.path(passDB), "alice 2001:pending\n")
			mustWrite(t, j.path("/etc/passwd"), j.read("/etc/passwd")+row.passwd)
			j.boot()
			j.has("/etc/passwd", "alice:x:2001:6001:Alice A:/users/alice:/bin/bash")
			j.has("/users/alice/.ssh/authorized_keys", "AAAA")
			j.has(passDB, "alice 2001:100")
			if n := strings.Count(j.read("/etc/passwd"), "\nalice:"); n != 1 {
				t.Errorf("%d lines of alice", n)
			}
		})
	}
}

// TestHostileHome: what the user planted in the home isn't followed.
func TestHostileHome(t *testing.T) {
	j := newJail(t)
	j.boot()
	secret := j.path("/etc/secret")
	mustWrite(t, secret, "untouched")
	for _, name := range []string{".forward", ".ssh/authorized_keys.new", ".ssh/authorized_keys"} {
		p := j.path("/users/alice/" + name)
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, p); err != nil {
			t.Fatal(err)
		}
	}
	j.tmcd.set("accounts", groupLine+replaced(aliceLine, "SERIAL=100>SERIAL=101")+aliceKey+bobLine)
	j.boot()
	if got := j.read("/etc/secret"); got != "untouched" {
		t.Errorf("written through a link: %q", got)
	}
	j.has("/users/alice/.ssh/authorized_keys", "AAAA")

	// A whole .ssh that leads out: the home fails, the user isn't recorded done.
	if err := os.RemoveAll(j.path("/users/alice/.ssh")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(j.path("/etc"), j.path("/users/alice/.ssh")); err != nil {
		t.Fatal(err)
	}
	j.tmcd.set("accounts", groupLine+replaced(aliceLine, "SERIAL=100>SERIAL=102")+aliceKey+bobLine)
	if r := step(t, j.boot(), "accounts"); r.Status != Failed {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(j.path("/etc/authorized_keys")); err == nil {
		t.Error("keys written outside the home")
	}
	j.has(passDB, "alice 2001:pending")
}

func TestResetAccounts(t *testing.T) {
	j := newJail(t)
	before := j.read("/etc/passwd")
	j.boot()
	if _, err := j.Do(context.Background(), Reset); err != nil {
		t.Fatal(err)
	}
	if got := j.read("/etc/passwd"); got != before {
		t.Errorf("passwd is\n%s", got)
	}
	for _, p := range []string{passDB, groupDB, sudoersFile, bootDir + "/keyhash", bootDir + "/nickname"} {
		if _, err := os.Stat(j.path(p)); err == nil {
			t.Errorf("%s is still there", p)
		}
	}
}

func BenchmarkAccounts(b *testing.B) {
	j := newJail(b)
	text := groupLine
	for i := range 500 {
		text += replaced(aliceLine, "LOGIN=alice>"+fmt.Sprintf("LOGIN=u%d", i), "UID=2001>"+fmt.Sprintf("UID=%d", 2001+i),
			"HOMEDIR=/users/alice>"+fmt.Sprintf("HOMEDIR=/users/u%d", i))
	}
	j.tmcd.set("accounts", text)
	for b.Loop() {
		j.boot()
	}
}
