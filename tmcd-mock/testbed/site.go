package testbed

import "net/netip"

// Site are the names, addresses and switches that a site compiles into its
// tmcd. Every field is a key of the file's site: section, in lower case with
// underscores (fs_dirs and local_dirs are mappings).
type Site struct {
	Domain     string // below which nodes have names
	Boss       string // host name, SERVER= of software
	BossIP     string
	Ops        string
	OpsIP      string
	FS         string // NFS server
	FSDirs     Dirs   // directories on it
	LocalDirs  Dirs   // and where nodes mount them
	Gateway    string // of the control network
	ControlNet string
	ControlMask,
	JailNet, JailMask string
	EventServer string
	NTPServer   string
	WWW         string // base address of the web site
	TimeZone    string // of times in rows; only UTC is known

	ImageProvenance      bool // image names carry versions
	DynamicRootPasswords bool
	IsolateAdmins        bool // ISOLATEADMINS: only users with the swapper's admin flag
	NoSharedFS           bool // NOSHAREDFS: nobody mounts anything

	// Web is host[:port] of the web server for tarballs and RPMs, when it is
	// not boss; key web: of the file.
	Web string
	// Other are keys that this package doesn't know, kept for Export; key
	// other: of the section.
	Other Columns
}

// Dirs are the directories that nodes mount.
type Dirs struct{ Proj, Groups, Users, Share string }

func defaultSite() Site {
	return Site{
		Domain: "example.emulab.net", Boss: "boss.example.emulab.net", BossIP: "10.1.32.70",
		Ops: "ops.example.emulab.net", OpsIP: "10.1.33.74", FS: "fs.example.emulab.net",
		FSDirs:      Dirs{"/q/proj", "/q/groups", "/users", "/share"},
		LocalDirs:   Dirs{"/proj", "/groups", "/users", "/share"},
		Gateway:     "127.255.255.254",
		ControlNet:  "127.0.0.0",
		ControlMask: "255.0.0.0", JailNet: "172.16.0.0", JailMask: "255.240.0.0",
		EventServer: "event-server.example.emulab.net", NTPServer: "ntp1.example.emulab.net",
		WWW: "https://www.example.emulab.net", TimeZone: "UTC",
		ImageProvenance: true, DynamicRootPasswords: true,
	}
}

// siteField is one key of the site: section.
type siteField struct {
	key  string
	text *string
	flag *bool
	dirs *Dirs
	addr bool // must be an IPv4 address
}

func (s *Site) fields() []siteField {
	return []siteField{
		{key: "domain", text: &s.Domain},
		{key: "boss", text: &s.Boss},
		{key: "boss_ip", text: &s.BossIP, addr: true},
		{key: "ops", text: &s.Ops},
		{key: "ops_ip", text: &s.OpsIP, addr: true},
		{key: "fs", text: &s.FS},
		{key: "fs_dirs", dirs: &s.FSDirs},
		{key: "local_dirs", dirs: &s.LocalDirs},
		{key: "gateway", text: &s.Gateway, addr: true},
		{key: "control_network", text: &s.ControlNet, addr: true},
		{key: "control_netmask", text: &s.ControlMask, addr: true},
		{key: "jail_network", text: &s.JailNet, addr: true},
		{key: "jail_netmask", text: &s.JailMask, addr: true},
		{key: "event_server", text: &s.EventServer},
		{key: "ntp_server", text: &s.NTPServer},
		{key: "www", text: &s.WWW},
		{key: "time_zone", text: &s.TimeZone},
		{key: "image_provenance", flag: &s.ImageProvenance},
		{key: "dynamic_root_passwords", flag: &s.DynamicRootPasswords},
		{key: "isolate_admins", flag: &s.IsolateAdmins},
		{key: "no_shared_fs", flag: &s.NoSharedFS},
	}
}

type dirField struct {
	key  string
	text *string
}

func (d *Dirs) fields() []dirField {
	return []dirField{{"proj", &d.Proj}, {"groups", &d.Groups}, {"users", &d.Users}, {"share", &d.Share}}
}

// Set sets one switch of the site by its key, as `--site KEY=VALUE` does.
// It reports false for a key that there isn't or a value that doesn't fit
// (true, false, 1, 0 for switches; an IPv4 address where one is meant).
func (s *Site) Set(key, value string) bool {
	for _, f := range s.fields() {
		switch {
		case f.key != key:
		case f.flag != nil:
			switch value {
			case "1", "true":
				*f.flag = true
			case "0", "false":
				*f.flag = false
			default:
				return false
			}
			return true
		case f.text != nil:
			if f.addr && !isIPv4(value) {
				return false
			}
			*f.text = value
			return true
		}
	}
	if key == "web" {
		s.Web = value
		return true
	}
	return false
}

// WebServer is what SERVER= says in tarballs and rpms.
func (s *Site) WebServer() string {
	if s.Web != "" {
		return s.Web
	}
	return s.Boss
}

func isIPv4(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}
