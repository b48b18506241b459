package session

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"emujail/jailsetup/injail/console"
)

const (
	somePasswd = `# comment
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
ann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh
bare:x:1001:1001:::
short:x:1002
+:::::
minus:x:-1:5::/:/bin/sh
none:x:4294967295:5::/:/bin/sh
huge:x:4294967296:5::/:/bin/sh
twice:x:1003:1003::/first:/bin/sh
twice:x:1004:1004::/second:/bin/sh
`
	someGroup = `root:x:0:
tty:x:5:
team:x:2000:bob,ann
more:x:2001:ann
own:x:1000:ann
annex:x:2002:annex
bad:x:x:ann
broken
`
)

func TestLookup(t *testing.T) {
	fs := files{[]byte(somePasswd), []byte(someGroup)}
	tests := []struct {
		name string
		fs   files
		want user
		fail bool
	}{
		{"", fs, user{"root", "/root", "/bin/bash", 0, 0, []uint32{0}}, false},
		{"root", fs, user{"root", "/root", "/bin/bash", 0, 0, []uint32{0}}, false},
		{"ann", fs, user{"ann", "/home/ann", "/bin/zsh", 1000, 1000, []uint32{1000, 2000, 2001}}, false},
		{"1000", fs, user{"ann", "/home/ann", "/bin/zsh", 1000, 1000, []uint32{1000, 2000, 2001}}, false},
		{"bare", fs, user{"bare", "/", "/bin/sh", 1001, 1001, []uint32{1001}}, false},
		{"twice", fs, user{"twice", "/first", "/bin/sh", 1003, 1003, []uint32{1003}}, false},
		{"4711", fs, user{"4711", "/", "/bin/sh", 4711, 4711, []uint32{4711}}, false},
		{"root", files{}, user{"root", "/", "/bin/sh", 0, 0, []uint32{0}}, false},
		{"short", fs, user{}, true},
		{"+", fs, user{}, true},
		{"minus", fs, user{}, true},
		{"none", fs, user{}, true},
		{"huge", fs, user{}, true},
		{"4294967295", fs, user{}, true},
		{"eve", fs, user{}, true},
		{"root:x", fs, user{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.fs.lookup(tt.name)
			if (err != nil) != tt.fail || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("lookup = %+v, %v; want %+v, fail %v", got, err, tt.want, tt.fail)
			}
		})
	}
	if got := fs.groupID("tty", 7); got != 5 {
		t.Errorf("group tty is %d", got)
	}
	if got := fs.groupID("bad", 7); got != 7 {
		t.Errorf("group without a number is %d, want the fallback", got)
	}
}

func TestReadRegular(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxAccounts+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{fifo: 0, "/dev/zero": 0, dir: 0, dir + "/none": 0, big: maxAccounts} {
		if got := readRegular(path); len(got) != want {
			t.Errorf("%s: %d bytes, want %d", path, len(got), want)
		}
	}
}

// FuzzLookup: whatever the files say, a user found is one that can be become.
func FuzzLookup(f *testing.F) {
	for _, name := range []string{"root", "ann", "1000", "eve", "short", "+"} {
		f.Add(somePasswd, someGroup, name)
	}
	f.Fuzz(func(t *testing.T, passwd, group, name string) {
		u, err := files{[]byte(passwd), []byte(group)}.lookup(name)
		if err != nil {
			return
		}
		if u.Name == "" || u.Home == "" || u.Shell == "" || len(u.Groups) == 0 || u.Groups[0] != u.GID || len(u.Groups) > maxGroups {
			t.Errorf("lookup %q = %+v", name, u)
		}
		const none = 1<<32 - 1
		if u.UID == none || u.GID == none || strings.Contains(u.Home+u.Shell, "\n") {
			t.Errorf("lookup %q = %+v", name, u)
		}
	})
}

func TestPlan(t *testing.T) {
	there := func(paths ...string) func(string) bool {
		return func(p string) bool {
			for _, q := range paths {
				if p == q {
					return true
				}
			}
			return false
		}
	}
	root := user{Name: "root", Home: "/root", Shell: "/bin/bash"}
	ann := user{Name: "ann", Home: "/home/ann", Shell: "/bin/zsh", UID: 1000, GID: 1000}
	tests := []struct {
		name   string
		start  console.Start
		user   user
		exists func(string) bool
		want   string // path, argv and directory
	}{
		{"login shell", console.Start{}, root, there("/bin/bash"), "/bin/bash [-bash] /root"},
		{"root's shell is gone", console.Start{}, root, there(), "/bin/sh [-sh] /root"},
		{"another's shell is gone", console.Start{}, ann, there(), "/bin/zsh [-zsh] /home/ann"},
		{"found in the path", console.Start{Argv: []string{"ls", "-l"}}, ann, there("/usr/bin/ls", "/bin/ls"), "/usr/bin/ls [ls -l] /home/ann"},
		{"root's path has sbin", console.Start{Argv: []string{"ip"}}, root, there("/usr/sbin/ip"), "/usr/sbin/ip [ip] /root"},
		{"a user's hasn't", console.Start{Argv: []string{"ip"}}, ann, there("/usr/sbin/ip"), "ip [ip] /home/ann"},
		{"with a slash", console.Start{Argv: []string{"./x"}, Dir: "/tmp"}, ann, there(), "./x [./x] /tmp"},
		{"an empty word", console.Start{Argv: []string{""}}, ann, there(), " [] /home/ann"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := plan(tt.start, tt.user, tt.exists)
			if got := c.path + " [" + strings.Join(c.argv, " ") + "] " + c.dir; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for term, want := range map[string]string{"": "dumb", "xterm": "xterm", "a\nLD_PRELOAD=x": "dumb", "a\x00b": "dumb"} {
		c := plan(console.Start{Term: term}, root, there())
		if got := c.env[len(c.env)-1]; got != "TERM="+want {
			t.Errorf("term %q: %q, want %s", term, got, want)
		}
	}
}
