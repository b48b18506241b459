package rootfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planted is in all that no jail may have of the made-up host.
const planted = "PLANTED"

// madeUpHost is a host with people, hashes, keys and careless modes. A path
// that ends in a slash is a directory, a text that begins with "-> " a link.
func madeUpHost(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range []struct {
		path string
		mode fs.FileMode
		text string
	}{
		{"etc/passwd", 0o644, "root:$6$PLANTED:0:0:root:/root:/bin/zsh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n" +
			"sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nemulabman:x:998:998:PLANTED:/home/PLANTED:/bin/sh\n" +
			"ann:x:1000:1000:PLANTED:/home/ann:/bin/bash\nlast:$1$PLANTED:65533:65533::/:/bin/sh\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nnis:x:100000:100000:PLANTED:/:/bin/sh\n+::::::PLANTED\n"},
		{"etc/group", 0o644, "root:x:0:\nadm:x:4:syslog,ann\nuucp:x:10:\nsudo:PLANTED:27:ann,daemon\nshadow:x:42:\nutmp:x:43:\nann:x:1000:\nPLANTED:x:1001:ann\nnogroup:x:65534:\n"},
		{"etc/shadow", 0o640, "root:$6$PLANTED:19000:0:99999:7:::\nann:$6$PLANTED:19000:0:99999:7:::\n"},
		{"etc/gshadow", 0o640, "sudo:PLANTED::ann\n"},
		{"etc/fstab", 0o644, "UUID=PLANTED / ext4 defaults 0 1\n//server/PLANTED /mnt cifs password=PLANTED 0 0\n"},
		{"etc/resolv.conf", 0o644, "search example.org\nnameserver 127.0.0.1\n"},
		{"etc/hosts", 0o644, "10.0.0.1 PLANTED\n"},
		{"etc/services", 0o644, "ssh 22/tcp\n"},
		{"etc/localtime", 0, "-> ../usr/share/zoneinfo/UTC"},
		{"etc/os-release", 0, "-> /etc/../root/os-release"},
		{"root/os-release", 0o644, planted},

		// Not on the list, whoever may read it.
		{"etc/krb5.keytab", 0o644, planted},
		{"etc/secret.conf", 0o644, planted},
		{"etc/emulab/client.pem", 0o644, planted},
		{"etc/ssh/ssh_host_ed25519_key", 0o600, planted},
		{"etc/ssh/sshd_config", 0o644, "ListenAddress PLANTED\nX11Forwarding yes\n"},
		{"etc/ssl/private/host.key", 0o644, planted},
		{"etc/ssl/certs/host.pem", 0o644, planted},
		{"etc/sudoers", 0o644, planted},
		{"etc/cron.d/backup", 0o644, planted},
		{"root/.ssh/id_ed25519", 0o644, planted},

		// Below an allowed directory: closed to others, or with a key's name.
		{"etc/profile.d/plain.sh", 0o644, "umask 022\n"},
		{"etc/profile.d/closed.sh", 0o640, planted},
		{"etc/security/opasswd", 0o644, planted},
		{"etc/security/closed/", 0o750, ""},
		{"etc/security/closed/open", 0o644, planted},
		{"etc/skel/.ssh/config", 0o644, planted},
		{"etc/skel/.netrc", 0o644, planted},
		{"etc/skel/id_rsa", 0o644, planted},
		{"etc/skel/krb5.keytab", 0o644, planted},
		{"etc/vim/site.pem", 0o644, planted},
		{"etc/vim/site.key", 0o644, planted},
		{"etc/pam.d/shadow.bak", 0o644, planted},
		// A link to what others can't get at, though its mode looks open.
		{"root/site.sh", 0o644, planted},
		{"etc/profile.d/site.sh", 0, "-> /root/site.sh"},
		{"etc/profile.d/up.sh", 0, "-> ../../root/site.sh"},
		{"root/", 0o700, ""},
	} {
		path := filepath.Join(root, f.path)
		target, isLink := strings.CutPrefix(f.text, "-> ")
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, path)
		case strings.HasSuffix(f.path, "/"):
			if err = os.MkdirAll(path, 0o755); err == nil {
				defer os.Chmod(path, f.mode) // last: the test may be nobody
			}
		default:
			if err = os.WriteFile(path, []byte(f.text), 0o644); err == nil && os.Getuid() == 0 {
				err = os.Chmod(path, f.mode)
			} else if err == nil && f.mode&0o004 == 0 {
				err = os.Chmod(path, 0o640)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestS1NothingOfTheHosts: whatever lies in a host's /etc, a template has no
// person, no hash, no key and no mount of it, and still what programs need.
func TestS1NothingOfTheHosts(t *testing.T) {
	root := madeUpHost(t)
	files, err := Template{Host: root, Names: Names{Root: root}}.collect()
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]string{}
	for _, f := range files {
		tree[f.path] = string(f.data)
		if strings.Contains(f.path+string(f.data), planted) {
			t.Errorf("%s of the host is copied: %q", f.path, f.data)
		}
	}
	for _, path := range []string{"etc/os-release", "etc/profile.d/site.sh", "etc/profile.d/up.sh", "etc/skel/.ssh", "etc/security/closed"} {
		if text, ok := tree[path]; ok {
			t.Errorf("%s is there: %q", path, text)
		}
	}
	for path, want := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nemulabman:x:65520:10:Emulab:/home/emulabman:/bin/bash\n",
		"etc/group":              "root:x:0:\nadm:x:4:\nuucp:x:10:\nsudo:x:27:daemon\nshadow:x:42:\nutmp:x:43:\nnogroup:x:65534:\n",
		"etc/gshadow":            "root:*::\nadm:*::\nuucp:*::\nsudo:*::daemon\nshadow:*::\nutmp:*::\nnogroup:*::\n",
		"etc/profile.d/plain.sh": "umask 022\n",
		"etc/services":           "ssh 22/tcp\n",
		"etc/localtime":          "../usr/share/zoneinfo/UTC",
	} {
		if got, ok := tree[path]; !ok || got != want {
			t.Errorf("%s (there: %v) is\n%s\nwant\n%s", path, ok, got, want)
		}
	}
	for line := range strings.Lines(tree["etc/shadow"]) {
		if f := strings.Split(line, ":"); f[1] != "*" {
			t.Errorf("shadow: %s", line)
		}
	}
	if names := strings.Count(tree["etc/shadow"], "\n"); names != strings.Count(tree["etc/passwd"], "\n") {
		t.Errorf("%d lines of shadow for %d of passwd", names, strings.Count(tree["etc/passwd"], "\n"))
	}
	for line := range strings.Lines(tree["etc/fstab"]) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("fstab mounts something: %s", line)
		}
	}
	if !slices.Contains(strings.Split(tree["etc/ssh/sshd_config"], "\n"), "X11Forwarding no") {
		t.Errorf("sshd_config:\n%s", tree["etc/ssh/sshd_config"])
	}
}

func TestKeyName(t *testing.T) {
	for name, want := range map[string]bool{
		"client.pem": true, "emulab.pkey": true, "emulab.cdkey": true, "cvsup.auth": true, ".cvsup": true, "krb5.keytab": true,
		"id_rsa": true, "ssh_host_rsa_key": true, "shadow-": true, "gshadow": true, "server.key": true,
		"passwd": false, "services": false, "common-auth": false, "ca-certificates.crt": false, "moduli": false, "locale.gen": false,
	} {
		if got := keyName(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range etcAllowed {
		if keyName(filepath.Base(name)) {
			t.Errorf("%s is allowed and never taken", name)
		}
	}
	for _, pattern := range keyNames {
		if _, err := filepath.Match(pattern, "x"); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
