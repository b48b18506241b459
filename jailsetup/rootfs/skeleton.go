package rootfs

import "io/fs"

// entry is one thing of the jail's tree as it is put into the template. Data
// is a file's content or a link's target.
type entry struct {
	path  string // below the root, no leading slash
	mode  fs.FileMode
	group string // by name, of the jail's own group file; empty: root
	data  string
}

const (
	dir  = fs.ModeDir
	link = fs.ModeSymlink
)

// skeleton is what every jail has besides /etc. The order is the order of
// making: parents first. Links into /usr stand for directories that the host
// has merged into it; see [rootDirs] for one that hasn't.
var skeleton = [...]entry{
	{"boot", dir | 0o755, "", ""},
	{"dev", dir | 0o755, "", ""},
	{"home", dir | 0o755, "", ""},
	{"local", dir | 0o755, "", ""},
	{"local/logs", dir | 0o775, "", ""},
	{"groups", dir | 0o755, "", ""},
	{"media", dir | 0o755, "", ""},
	{"mnt", dir | 0o755, "", ""},
	{"opt", dir | 0o775, "", ""},
	{"proc", dir | 0o555, "", ""},
	{"proj", dir | 0o755, "", ""},
	{"root", dir | 0o700, "", ""},
	{"run", dir | 0o755, "", ""},
	{"share", dir | 0o755, "", ""},
	{"srv", dir | 0o755, "", ""},
	{"sys", dir | 0o555, "", ""},
	{"tmp", dir | fs.ModeSticky | 0o777, "", ""},
	{"users", dir | 0o755, "", ""},
	{"usr", dir | 0o755, "", ""},
	{"usr/local", dir | 0o755, "", ""},
	{"usr/local/bin", dir | 0o755, "", ""},
	{"usr/local/etc", dir | 0o755, "", ""},
	{"usr/local/games", dir | 0o755, "", ""},
	{"usr/local/include", dir | 0o755, "", ""},
	{"usr/local/lib", dir | 0o755, "", ""},
	{"usr/local/libexec", dir | 0o755, "", ""},
	{"usr/local/sbin", dir | 0o755, "", ""},
	{"usr/local/share", dir | 0o755, "", ""},
	{"usr/local/src", dir | 0o755, "", ""},
	{"usr/local/bin/tmcc", link, "", "/run/emulab/bin/tmcc"},
	{"usr/local/bin/injail", link, "", "/run/emulab/bin/injail"},
	{"usr/local/etc/emulab", link, "", "/run/emulab/bin"},
	{"usr/local/sbin/halt", link, "", "/run/emulab/bin/injail"},
	{"usr/local/sbin/poweroff", link, "", "/run/emulab/bin/injail"},
	{"usr/local/sbin/reboot", link, "", "/run/emulab/bin/injail"},
	{"usr/local/sbin/shutdown", link, "", "/run/emulab/bin/injail"},
	{"var", dir | 0o755, "", ""},
	{"var/backups", dir | 0o755, "", ""},
	{"var/cache", dir | 0o755, "", ""},
	{"var/emulab", dir | 0o755, "", ""},
	{"var/lib", dir | 0o755, "", ""},
	{"var/lib/misc", dir | 0o755, "", ""},
	{"var/lib/sudo", dir | 0o700, "", ""},
	{"var/local", dir | 0o755, "", ""},
	{"var/lock", link, "", "/run/lock"},
	{"var/log", dir | 0o755, "", ""},
	{"var/log/auth.log", 0o640, "adm", ""},
	{"var/log/btmp", 0o660, "utmp", ""},
	{"var/log/cron.log", 0o640, "adm", ""},
	{"var/log/lastlog", 0o664, "utmp", ""},
	{"var/log/messages", 0o640, "adm", ""},
	{"var/log/syslog", 0o640, "adm", ""},
	{"var/log/wtmp", 0o664, "utmp", ""},
	{"var/mail", dir | fs.ModeSetgid | 0o775, "mail", ""},
	{"var/opt", dir | 0o755, "", ""},
	{"var/run", link, "", "/run"},
	{"var/spool", dir | 0o755, "", ""},
	{"var/spool/cron", dir | 0o755, "", ""},
	{"var/spool/cron/crontabs", dir | fs.ModeSticky | 0o730, "crontab", ""},
	{"var/tmp", dir | fs.ModeSticky | 0o777, "", ""},
	{"etc", dir | 0o755, "", ""},
	{"etc/cron.d", dir | 0o755, "", ""},
	{"etc/cron.daily", dir | 0o755, "", ""},
	{"etc/cron.hourly", dir | 0o755, "", ""},
	{"etc/cron.monthly", dir | 0o755, "", ""},
	{"etc/cron.weekly", dir | 0o755, "", ""},
	{"etc/emulab", dir | 0o755, "", ""},
	{"etc/fstab", 0o644, "", ""},
	{"etc/mtab", link, "", "/proc/self/mounts"},
	{"etc/ssh", dir | 0o755, "", ""},
	{"etc/sudoers", 0o440, "", sudoers},
	{"etc/sudoers.d", dir | 0o750, "", ""},
}

// rootDirs are the host's directories that a merged /usr turns into links.
var rootDirs = [...]string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"}
