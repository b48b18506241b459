package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"emujail/jailsetup/network"
)

// DefaultSiteFile is where the operator's settings are looked for; a host
// without it runs on the defaults.
const DefaultSiteFile = "/etc/emulab/jailsetup.yaml"

// Site is what the operator settles for a host. Its zero values are filled in
// by [LoadSite].
type Site struct {
	// File is where all this was read from. Empty: these are the defaults.
	File string `yaml:"-"`
	// Boss is the tmcd to ask: NAME, NAME:PORT or ADDRESS:PORT. Empty: as tmcc
	// finds it (BOSSNAME, the bossnode file, the name server). A list is tried in
	// order, those that failed lately last.
	Boss Names `yaml:"boss"`
	// Certificates is the directory of client.pem and emulab.pem. Empty: tmcd
	// is asked without TLS, which only local hosts may.
	Certificates string `yaml:"certificates"`
	// State keeps what outlives a boot: disks, records. 0700.
	State string `yaml:"state"`
	// Run keeps sockets and pins. It is short: unix sockets lie below it.
	Run string `yaml:"run"`
	// Programs is the directory of injail, jailspawn, tmcc and the others that
	// docs/site.md names. Empty: beside jailsetup itself.
	Programs string `yaml:"programs"`
	// Control is the control network of this host.
	Control ControlSite `yaml:"control"`
	// HostPorts are the host's ports that jails may reach: tcp/N, udp/N.
	HostPorts []string `yaml:"host_ports"`
	// Web is the server of tarballs that the jails are told: HOST:PORT, or a URL.
	// Empty: the one that tmcd names.
	Web string `yaml:"web"`
	// Shares says where the directories of tmcd's mounts lie on this host, a
	// directory for each prefix of their path in the jail: /proj: /srv/proj. A
	// path without a prefix here lies at the same path on the host.
	Shares map[string]string `yaml:"shares"`
	// Local is the directory of the projects' local stores, /local/PROJECT in their
	// jails. Empty: below State. "none": there are none.
	Local string `yaml:"local"`
	// TmcdTimeout is how long tmcd may be silent before a request fails.
	TmcdTimeout time.Duration `yaml:"tmcd_timeout"`
	// Grace is how long a jail's processes have between TERM and KILL.
	Grace time.Duration `yaml:"grace"`
	// BootsAtOnce is how many jails may be built at a time. 0: as many as this
	// host's cores like.
	BootsAtOnce int `yaml:"boots_at_once"`
	// Limits are a jail's.
	Limits Limits `yaml:"limits"`
	// Overcommit lets disks be made whose sizes the file system can't hold all.
	Overcommit bool `yaml:"overcommit"`

	NetSite   `yaml:",inline"`
	ImageSite `yaml:",inline"`
	// Proxy is about the door between the jails and tmcd.
	Proxy ProxySite `yaml:"proxy"`
	// Metrics is where counters are published for Prometheus: 127.0.0.1:PORT, or
	// the path of a unix socket. Empty: nowhere.
	Metrics string `yaml:"metrics"`
}

// ControlSite is the control network as the operator writes it.
type ControlSite struct {
	// Prefix holds all control addresses of the testbed; "auto" takes the first
	// free one at the supervisor's start.
	Prefix string `yaml:"prefix"`
	// Number is this host's in the address plan: PREFIX's Number-th /24.
	Number int `yaml:"number"`
	// Address is the host's as others see it: jails without one of their own
	// share it. Empty: the host's in the address plan.
	Address string `yaml:"address"`
	// Pool holds the private addresses of such jails. Empty:
	// [network.DefaultPool].
	Pool string `yaml:"pool"`
}

// Limits bound one jail (jail.md S23). Zero: no limit.
type Limits struct {
	Processes int `yaml:"processes"`  // at once
	MemoryMiB int `yaml:"memory_mib"` // with page cache
	CPUShare  int `yaml:"cpu_share"`  // 100 is an equal share
	Terminals int `yaml:"terminals"`  // pseudo-terminals at once
	UserNS    int `yaml:"user_ns"`    // user namespaces inside
	DiskMiB   int `yaml:"disk_mib"`   // where boss names no VDSIZE

	IOWeight   int `yaml:"io_weight"`    // 1 to 1000, 100 is an equal share; the kernel's word for it
	IOReadMiB  int `yaml:"io_read_mib"`  // a second, from the disk that State lies on
	IOWriteMiB int `yaml:"io_write_mib"` // a second, to it
}

// check wants numbers that mean something.
func (l Limits) check() error {
	for _, row := range []struct {
		key              string
		value, low, high int
	}{
		{"processes", l.Processes, 0, 1 << 22}, {"memory_mib", l.MemoryMiB, 0, 1 << 24}, {"cpu_share", l.CPUShare, 0, 10_000},
		{"terminals", l.Terminals, 0, 1 << 20}, {"user_ns", l.UserNS, 0, 1 << 20}, {"disk_mib", l.DiskMiB, 1, maxDiskGB << 10},
		{"io_weight", l.IOWeight, 0, 1000}, {"io_read_mib", l.IOReadMiB, 0, 1 << 20}, {"io_write_mib", l.IOWriteMiB, 0, 1 << 20},
	} {
		if row.value < row.low || row.value > row.high {
			return fmt.Errorf("%s: want %d to %d, not %d", row.key, row.low, row.high, row.value)
		}
	}
	return nil
}

// defaults are the settings of a host without a site file.
func defaults() Site {
	return Site{
		State:   "/var/emulab/jails",
		Run:     network.DefaultRunDir,
		Control: ControlSite{Prefix: "172.16.0.0/12", Number: 1},
		Grace:   time.Second,

		TmcdTimeout: askTimeout,
		Proxy:       ProxySite{Audit: AuditSite{MiB: 64, Files: 8}},
		Limits:      Limits{Processes: 2048, MemoryMiB: 2048, CPUShare: 100, Terminals: 256, UserNS: 16, DiskMiB: 512},
	}
}

// LoadSite reads the site file. An empty path means the default one, which may
// be missing. A mistake names file, line and what was expected.
func LoadSite(path string) (Site, error) {
	s := defaults()
	named := path != ""
	if !named {
		path = DefaultSiteFile
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return s, s.finish()
	}
	if err != nil {
		return s, fmt.Errorf("read site file: %w", err)
	}
	s.File = path
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return s, fmt.Errorf("site file %s", mistake(path, data, err))
	}
	if err := s.finish(); err != nil {
		return s, fmt.Errorf("site file %s: %w", placed(path, data, err.Error()), err)
	}
	return s, nil
}

// finish checks what the YAML can't say and fills in what depends on the host.
func (s *Site) finish() error {
	if s.Programs == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		s.Programs = filepath.Dir(self)
	}
	for _, d := range [...]struct{ key, path string }{{"state", s.State}, {"run", s.Run}, {"programs", s.Programs}} {
		if !filepath.IsAbs(d.path) {
			return fmt.Errorf("%s: want an absolute path, not %q", d.key, d.path)
		}
	}
	for inner, outer := range s.Shares {
		if !filepath.IsAbs(inner) || !filepath.IsAbs(outer) {
			return fmt.Errorf("shares: want absolute paths, not %q: %q", inner, outer)
		}
	}
	if s.Local != "" && s.Local != noLocal && !filepath.IsAbs(s.Local) {
		return fmt.Errorf("local: want an absolute path or %s, not %q", noLocal, s.Local)
	}
	if s.Grace < 0 || s.Grace > time.Minute {
		return fmt.Errorf("grace: want 0s to 1m, not %s", s.Grace)
	}
	if s.BootsAtOnce < 0 || s.BootsAtOnce > maxBootsAtOnce {
		return fmt.Errorf("boots_at_once: want 0 to %d, not %d", maxBootsAtOnce, s.BootsAtOnce)
	}
	if err := s.Limits.check(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if s.TmcdTimeout < time.Second || s.TmcdTimeout > time.Hour {
		return fmt.Errorf("tmcd_timeout: want 1s to 1h, not %s", s.TmcdTimeout)
	}
	if _, err := s.ports(); err != nil {
		return fmt.Errorf("host_ports: %w", err)
	}
	if err := errors.Join(s.NetSite.check(), s.ImageSite.check(), s.findRemote(markerDirs())); err != nil {
		return err
	}
	if err := s.Proxy.check(); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	if err := checkMetrics(s.Metrics); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if s.Control.Prefix != autoPrefix {
		_, err := s.Network()
		return err
	}
	return nil
}

// maxBootsAtOnce is more than any host bears.
const maxBootsAtOnce = 1024

// autoPrefix asks for any control prefix that is free.
const autoPrefix = "auto"

// AutoPrefix tells whether the control prefix is to be found.
func (s Site) AutoPrefix() bool { return s.Control.Prefix == autoPrefix }

func (s Site) ports() ([]network.Port, error) {
	var list []network.Port
	for _, text := range s.HostPorts {
		p, err := network.ParsePort(text)
		if err != nil {
			return nil, err
		}
		if p.IsTmcd() {
			return nil, fmt.Errorf("port %s: it is tmcd's: jails ask it through their proxy only", p)
		}
		list = append(list, p)
	}
	return list, nil
}

// Network is the control network that the settings describe.
func (s Site) Network() (network.Control, error) {
	prefix, err := netip.ParsePrefix(s.Control.Prefix)
	if err != nil {
		return network.Control{}, fmt.Errorf("control: prefix: want ADDRESS/BITS or %s: %w", autoPrefix, err)
	}
	c, err := network.ControlIn(prefix, s.Control.Number)
	if err != nil {
		return c, fmt.Errorf("control: %w", err)
	}
	c.RunDir = s.Run
	if err := s.Control.share(&c); err != nil {
		return c, fmt.Errorf("control: %w", err)
	}
	c.HostPorts, err = s.ports()
	return c, err
}

// share fills in what jails without an address of their own need.
func (s ControlSite) share(c *network.Control) (err error) {
	if s.Address != "" {
		if c.Address, err = netip.ParseAddr(s.Address); err != nil {
			return fmt.Errorf("address: want an IPv4 address: %w", err)
		}
	}
	if s.Pool != "" {
		if c.Pool, err = netip.ParsePrefix(s.Pool); err != nil {
			return fmt.Errorf("pool: want ADDRESS/BITS: %w", err)
		}
	}
	return c.Validate()
}

// Paths of a host and of a jail. A vnode's name has been checked before it gets
// here: it is no path.

// BootVNodesLog is where bootvnodes logs that was told to go on by itself.
func (s Site) BootVNodesLog() string { return filepath.Join(s.State, "bootvnodes.debug") }

// ServeSocket is where the supervisor listens to the verbs.
func (s Site) ServeSocket() string { return filepath.Join(s.Run, "serve.sock") }

// Dir keeps what outlives a boot of the vnode.
func (s Site) Dir(vnode string) string { return filepath.Join(s.State, vnode) }

// ImagePath is the vnode's disk.
func (s Site) ImagePath(vnode string) string { return filepath.Join(s.Dir(vnode), "root.img") }

// TracePath is the trace of the vnode's last boot.
func (s Site) TracePath(vnode string) string { return filepath.Join(s.Dir(vnode), "trace.json") }

// GivenDir is shown to the vnode at /run/emulab.
func (s Site) GivenDir(vnode string) string { return filepath.Join(s.Run, "jails", vnode) }

// Templates holds what disks are cloned from.
func (s Site) Templates() string { return filepath.Join(s.State, ".templates") }

// ProgramsDir holds the copies of injail and tmcc that jails see.
func (s Site) ProgramsDir() string { return filepath.Join(s.State, ".programs") }

func (s Site) spawner() string             { return filepath.Join(s.Programs, "jailspawn") }
func (s Site) diskLog(vnode string) string { return filepath.Join(s.Dir(vnode), "disk.log") }
func (s Site) bootLog(vnode string) string { return filepath.Join(s.Dir(vnode), "boot.log") }
func (s Site) mountpoint() string          { return filepath.Join(s.State, ".root") }
func (s Site) graceSeconds() string        { return strconv.FormatFloat(s.Grace.Seconds(), 'f', -1, 64) }
