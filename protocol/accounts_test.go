package protocol

import (
	"reflect"
	"testing"
)

// A remote node gets no hashes, keys of all users, and obsolete ones too.
func TestAccountsOfRemoteNode(t *testing.T) {
	const in = `ADDGROUP NAME=testbed GID=6001
ADDUSER LOGIN=alice PSWD=* UID=10001 GID=6001 ROOT=1 NAME="Alice "A" Able" HOMEDIR=/users/alice GLIST="6002,6003" SERIAL=1463486400 EMAIL="alice@example.com" SHELL=tcsh
PUBKEY LOGIN=alice KEY="ssh-rsa AAAA my "best" KEY=1"
SFSKEY KEY="alice:abc"
ADDUSER LOGIN=bob PSWD=* UID=10002 GID=6001 ROOT=0 NAME="" HOMEDIR=/users/bob GLIST="" SERIAL=0 EMAIL="" SHELL=
`
	want := Accounts{
		Groups: []Group{{Name: "testbed", GID: 6001}},
		Users: []User{{
			Login: "alice", Password: "*", UID: 10001, GID: 6001, Root: true, Name: `Alice "A" Able`,
			HomeDir: "/users/alice", Groups: []int{6002, 6003}, Serial: 1463486400,
			Email: "alice@example.com", Shell: "tcsh",
			Keys: []string{`ssh-rsa AAAA my "best" KEY=1`}, SFSKeys: []string{"alice:abc"},
		}, {
			Login: "bob", Password: "*", UID: 10002, GID: 6001, HomeDir: "/users/bob",
		}},
	}
	got, err := ParseAccounts([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if out := string(want.Append(nil, Version)); out != in {
		t.Errorf("renders as\n%s\nwant\n%s", out, in)
	}
}

func TestAccountsVersions(t *testing.T) {
	a := Accounts{Users: []User{{
		Login: "a", Password: "*", UID: 1, GID: 2, Groups: []int{3, 4}, Serial: 5,
		Email: "e", Shell: "sh", Keys: []string{"k"}, EmulabPubKey: "old",
	}}}
	for name, row := range map[string]struct {
		version int
		want    string
	}{
		"no tag":    {0, "ADDUSER LOGIN=a PSWD=* UID=1 GID=2 ROOT=0 NAME=\"\" HOMEDIR= GLIST=3,4\n"},
		"version 4": {4, "ADDUSER LOGIN=a PSWD=* UID=1 GID=2 ROOT=0 NAME=\"\" HOMEDIR= GLIST=\"3,4\" EMULABPUBKEY=\"old\" HOMEPUBKEY=\"\"\n"},
		"version 5": {5, "ADDUSER LOGIN=a PSWD='*' UID=1 GID=2 ROOT=0 NAME=\"\" HOMEDIR= GLIST=\"3,4\" SERIAL=5\nPUBKEY LOGIN=a KEY=\"k\"\n"},
		"version 9": {9, "ADDUSER LOGIN=a PSWD=* UID=1 GID=2 ROOT=0 NAME=\"\" HOMEDIR= GLIST=\"3,4\" SERIAL=5 EMAIL=\"e\"\nPUBKEY LOGIN=a KEY=\"k\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(a.Append(nil, row.version))
			if got != row.want {
				t.Errorf("%s\nwant\n%s", got, row.want)
			}
			back, err := ParseAccounts([]byte(got))
			if err != nil || back.Users[0].Password != "*" || !reflect.DeepEqual(back.Users[0].Groups, []int{3, 4}) {
				t.Errorf("reads back as %+v, %v", back, err)
			}
		})
	}
}
