package jail

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"emujail/proxy/control"
)

// Names is a list of servers; in the site file one name may stand without a
// list around it.
type Names []string

// UnmarshalYAML reads a name or a list of names.
func (n *Names) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if err := unmarshal(&one); err == nil {
		*n = nil
		if one != "" {
			*n = Names{one}
		}
		return nil
	}
	var list []string
	if err := unmarshal(&list); err != nil {
		return err
	}
	*n = list
	return nil
}

// ProxySite is what the operator settles about the proxy.
type ProxySite struct {
	// Redirects are the hosts that tmcd may send a request on to, besides those
	// of boss: NAME, NAME:PORT or ADDRESS:PORT.
	Redirects Names `yaml:"redirects"`
	// Attest says what becomes of callers that use a jail's socket from outside
	// of it: enforce, which "" is too, refuses them; log serves them, and the
	// audit log says so.
	Attest string `yaml:"attest"`
	// PolicyDir has a file for each vnode that is allowed more or less than the
	// table: lines "allow COMMAND" and "deny COMMAND". Empty: the file policy
	// in the vnode's own directory below State, which goes with the vnode.
	PolicyDir string `yaml:"policy_dir"`
	// ProxyHeader says that the tmcds want a PROXY v2 header.
	ProxyHeader bool `yaml:"proxy_header"`
	// Limits bound what jails can use of it; zero is the proxy's default.
	Limits ProxyLimits `yaml:"limits"`
	// Audit bounds the audit log.
	Audit AuditSite `yaml:"audit"`
}

// AuditSite bounds the audit log, State/audit.log: of Files files, the newest
// without a number, each has at most MiB.
type AuditSite struct {
	MiB   int `yaml:"mib"`
	Files int `yaml:"files"`
}

// ProxyLimits are control.Limits as the operator writes them. All but Total and
// Pool are of one jail.
type ProxyLimits struct {
	Connections int     `yaml:"connections"`
	Requests    int     `yaml:"requests"` // at once
	Rate        float64 `yaml:"rate"`     // requests a second
	Burst       float64 `yaml:"burst"`
	Bytes       float64 `yaml:"bytes"` // a second, both ways
	BytesBurst  float64 `yaml:"bytes_burst"`
	Total       int     `yaml:"total"` // connections of all jails
	Pool        int     `yaml:"pool"`  // requests at tmcd at once
}

// Control is the same in the proxy's words.
func (l ProxyLimits) Control() control.Limits { return control.Limits(l) }

func (p ProxySite) check() error {
	switch p.Attest {
	case "", "enforce", "log":
	default:
		return fmt.Errorf("attest: want enforce or log, not %q", p.Attest)
	}
	if p.PolicyDir != "" && !filepath.IsAbs(p.PolicyDir) {
		return fmt.Errorf("policy_dir: want an absolute path, not %q", p.PolicyDir)
	}
	if p.Audit.MiB < 1 || p.Audit.Files < 1 || p.Audit.Files > 1000 {
		return fmt.Errorf("audit: want mib and files of 1 or more, not %d and %d", p.Audit.MiB, p.Audit.Files)
	}
	l := p.Limits
	if min(l.Connections, l.Requests, l.Total, l.Pool) < 0 || min(l.Rate, l.Burst, l.Bytes, l.BytesBurst) < 0 {
		return fmt.Errorf("limits: want numbers of 0 or more")
	}
	return nil
}

// checkMetrics lets counters be published to this host alone.
func checkMetrics(where string) error {
	if where == "" || filepath.IsAbs(where) {
		return nil
	}
	addr, err := netip.ParseAddrPort(where)
	if err != nil || !addr.Addr().IsLoopback() {
		return fmt.Errorf("want an address of this host alone, such as 127.0.0.1:9177, or the path of a socket, not %q", where)
	}
	return nil
}

// PolicyPath is the file of a vnode's exceptions from the proxy's table.
func (s Site) PolicyPath(vnode string) string {
	if s.Proxy.PolicyDir != "" {
		return filepath.Join(s.Proxy.PolicyDir, vnode)
	}
	return filepath.Join(s.Dir(vnode), policyName)
}

// policyName is the file in a vnode's directory.
const policyName = "policy"

// AuditPath is the proxy's audit log.
func (s Site) AuditPath() string { return filepath.Join(s.State, "audit.log") }
