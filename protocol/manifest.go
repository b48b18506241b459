package protocol

// Manifest is the reply to manifest: which steps of the configuration to switch
// off, replace or surround (jail.md §3.4).
type Manifest struct {
	Services []Service
	Hooks    []Hook
}

// Service is a SERVICE line: it changes one step.
type Service struct {
	Name         string // such as rc.accounts
	Env          string // load or boot
	Whence       string // first or every
	Enabled      bool
	HooksEnabled bool
	Fatal        bool   // a failure ends the configuration
	BlobID       string // what to run in its place; may be empty
	Extra        Extra
}

// Hook is a HOOK line: a blob to run before or after a step.
type Hook struct {
	Service string
	Env     string // load or boot
	Whence  string // first or every
	Op      string // boot, shutdown, reconfig or reset
	Point   string // pre or post
	Fatal   bool
	BlobID  string
	Argv    string
	Extra   Extra
}

// ParseManifest reads the reply to manifest.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	err := eachRecord(b, func(c *codec) error {
		var err error
		switch c.tag {
		case "SERVICE":
			m.Services, err = addRecord[Service](c, c.tag, m.Services)
		case "HOOK":
			m.Hooks, err = addRecord[Hook](c, c.tag, m.Hooks)
		default:
			err = unexpected(c.tag)
		}
		return err
	})
	return m, err
}

func (s *Service) fields(c *codec) {
	c.need("NAME", "ENV", "WHENCE", "ENABLED")
	c.text("NAME", &s.Name)
	c.text("ENV", &s.Env)
	c.text("WHENCE", &s.Whence)
	c.flag("ENABLED", &s.Enabled)
	c.flag("HOOKS_ENABLED", &s.HooksEnabled)
	c.flag("FATAL", &s.Fatal)
	c.text("BLOBID", &s.BlobID)
	c.extra(&s.Extra)
}

func (h *Hook) fields(c *codec) {
	c.need("SERVICE", "ENV", "WHENCE", "OP", "POINT", "BLOBID")
	c.text("SERVICE", &h.Service)
	c.text("ENV", &h.Env)
	c.text("WHENCE", &h.Whence)
	c.text("OP", &h.Op)
	c.text("POINT", &h.Point)
	c.flag("FATAL", &h.Fatal)
	c.text("BLOBID", &h.BlobID)
	c.free("ARGV", '"', &h.Argv)
	c.extra(&h.Extra)
}

// Append renders the reply: services, then hooks.
func (m Manifest) Append(dst []byte, version int) []byte {
	dst = appendRecords[Service](dst, version, "SERVICE", m.Services)
	return appendRecords[Hook](dst, version, "HOOK", m.Hooks)
}
