package rootfs

import "path"

// etcAllowed names what of the host's /etc a jail gets a copy of. A directory
// means all below it. A file that others can't read is left out wherever it
// stands, and so is one with the name of a key ([keyNames]); links are copied as
// links.
//
// Not here, on purpose: ssh (keys), ssl/private, sudoers and cron* (the host's
// own rules and jobs), hosts, resolv.conf, fstab, passwd and its kin: made anew
// by this package or by etcfiles.
var etcAllowed = [...]string{
	"adduser.conf",
	"alternatives",
	"bash.bashrc",
	"debconf.conf",
	"debian_version",
	"default/locale",
	"default/useradd",
	"deluser.conf",
	"environment",
	"ethertypes",
	"gai.conf",
	"host.conf",
	"inputrc",
	"issue",
	"issue.net",
	"ld.so.cache",
	"ld.so.conf",
	"ld.so.conf.d",
	"locale.alias",
	"locale.conf",
	"locale.gen",
	"localtime",
	"login.defs",
	"magic",
	"magic.mime",
	"manpath.config",
	"mime.types",
	"motd",
	"networks",
	"nsswitch.conf",
	"os-release",
	"pam.conf",
	"pam.d",
	"profile",
	"profile.d",
	"protocols",
	"python3",
	"rpc",
	"security",
	"selinux/semanage.conf",
	"services",
	"shells",
	"skel",
	"ssh/moduli",
	"ssl/certs/ca-certificates.crt",
	"ssl/openssl.cnf",
	"terminfo",
	"timezone",
	"vim",
	"wgetrc",
}

// keyNames are the names under which keys and passwords lie (jail.md S1), which
// somebody may have left below an allowed directory with a careless mode.
var keyNames = [...]string{
	"*.pem", "*.key", "*.p12", "*.pfx", "*.pkey", "*.cdkey", "*.keytab", "*_key", "id_*", "shadow*", "gshadow*", "opasswd",
	".netrc", ".pgpass", ".cvsup", "cvsup.auth", ".ssh", ".gnupg",
}

func keyName(name string) bool {
	for _, pattern := range keyNames {
		if ok, _ := path.Match(pattern, name); ok { // a test holds the patterns
			return true
		}
	}
	return false
}

// sudoers lets root and the group sudo become anybody without a password: a
// jail's accounts have none. The accounts that tmcd marks ROOT=1 are put into
// that group by the jail itself.
const sudoers = `Defaults env_reset
Defaults mail_badpass
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) NOPASSWD: ALL
@includedir /etc/sudoers.d
`
