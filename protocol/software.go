package protocol

// Tarballs is the reply to tarballs: archives to unpack.
type Tarballs []Tarball

// Tarball is a line of Tarballs.
type Tarball struct {
	Server string // from version 36
	UseWeb bool   // fetch it from the web server, not from a mount; from version 37
	Dir    string // where to unpack
	Path   string // on the server
	Extra  Extra
}

// RPMs is the reply to rpms: packages to install.
type RPMs []RPM

// RPM is a line of RPMs.
type RPM struct {
	Server string // from version 36
	UseWeb bool   // from version 37
	Path   string
	Extra  Extra
}

// Blobs is the reply to blobs: files to fetch before the configuration. There
// are none before version 33.
type Blobs []Blob

// Blob is a line of Blobs.
type Blob struct {
	URL    string // frisbee://… or frisbee.mcast://…
	Action string // nothing, unpack or unpack:<dir>
	Extra  Extra
}

// ParseTarballs reads the reply to tarballs.
func ParseTarballs(b []byte) (Tarballs, error) { return parseRecords[Tarball](b, "") }

// ParseRPMs reads the reply to rpms.
func ParseRPMs(b []byte) (RPMs, error) { return parseRecords[RPM](b, "") }

// ParseBlobs reads the reply to blobs.
func ParseBlobs(b []byte) (Blobs, error) { return parseRecords[Blob](b, "") }

func (t *Tarball) fields(c *codec) {
	c.need("DIR", "TARBALL")
	source(c, &t.Server, &t.UseWeb)
	c.text("DIR", &t.Dir)
	c.text("TARBALL", &t.Path)
	c.extra(&t.Extra)
}

func (r *RPM) fields(c *codec) {
	c.need("RPM")
	source(c, &r.Server, &r.UseWeb)
	c.text("RPM", &r.Path)
	c.extra(&r.Extra)
}

func source(c *codec, server *string, useWeb *bool) {
	if c.since(36) {
		c.text("SERVER", server)
	}
	if c.since(37) {
		c.flag("USEWEB", useWeb)
	}
}

func (b *Blob) fields(c *codec) {
	c.need("URL")
	c.text("URL", &b.URL)
	c.text("ACTION", &b.Action)
	c.extra(&b.Extra)
}

// Append renders the reply.
func (t Tarballs) Append(dst []byte, version int) []byte {
	return appendRecords[Tarball](dst, version, "", t)
}

// Append renders the reply.
func (r RPMs) Append(dst []byte, version int) []byte {
	return appendRecords[RPM](dst, version, "", r)
}

// Append renders the reply.
func (b Blobs) Append(dst []byte, version int) []byte {
	if version < 33 {
		return dst
	}
	return appendRecords[Blob](dst, version, "", b)
}
