package protocol

// Loads is the reply to loadinfo: the images to write to the node's disk. It is
// empty unless the node is being loaded.
type Loads []Load

// Load is a line of Loads. All but the first three words are left out where they
// are empty.
type Load struct {
	Addr       string // multicast address, or empty: ask Server
	Part       string // partition; 0: the whole disk
	PartOS     string
	Server     string
	OSVersion  string
	BootPart   string // from version 36
	Disk       string
	ZFill      string
	ACPI       string
	MBRVers    string
	ASF        string
	Prepare    string
	NoClFlush  string
	Dom0Mem    string
	ImageID    string // project,group,name; with :version from 39
	ImageMTime string // seconds since 1970
	Chunks     string
	Low, High  string // sectors; these and the next two from version 38
	SSize      string // bytes of a sector
	Reloc      string
	Extra      Extra
}

// tooOld is what clients get that can't load today's images.
const tooOld = "ADDR=/NEWER-MFS-NEEDED PART=0 PARTOS=Bogus\n"

// ParseLoads reads the reply to loadinfo.
func ParseLoads(b []byte) (Loads, error) { return parseRecords[Load](b, "") }

func (l *Load) fields(c *codec) {
	c.need("ADDR", "PART")
	c.text("ADDR", &l.Addr)
	c.text("PART", &l.Part)
	c.text("PARTOS", &l.PartOS)
	c.option("SERVER", &l.Server)
	c.option("OSVERSION", &l.OSVersion)
	if c.since(36) {
		c.option("BOOTPART", &l.BootPart)
	}
	c.option("DISK", &l.Disk)
	c.option("ZFILL", &l.ZFill)
	c.option("ACPI", &l.ACPI)
	c.option("MBRVERS", &l.MBRVers)
	c.option("ASF", &l.ASF)
	c.option("PREPARE", &l.Prepare)
	c.option("NOCLFLUSH", &l.NoClFlush)
	c.option("DOM0MEM", &l.Dom0Mem)
	c.option("IMAGEID", &l.ImageID)
	c.option("IMAGEMTIME", &l.ImageMTime)
	c.option("IMAGECHUNKS", &l.Chunks)
	if c.since(38) {
		c.option("IMAGELOW", &l.Low)
		c.option("IMAGEHIGH", &l.High)
		c.option("IMAGESSIZE", &l.SSize)
		c.option("IMAGERELOC", &l.Reloc)
	}
	c.extra(&l.Extra)
}

// Append renders the reply. Before version 33 it tells the node to boot a newer
// system first.
func (l Loads) Append(dst []byte, version int) []byte {
	if version < 33 && len(l) > 0 {
		return append(dst, tooOld...)
	}
	return appendRecords[Load](dst, version, "", l)
}

// ImageInfo is the reply to imageinfo: the image that the node runs. The zero
// value is an empty reply.
type ImageInfo struct {
	PID, GID, Name, Version string
	Extra                   Extra
}

// ParseImageInfo reads the reply to imageinfo.
func ParseImageInfo(b []byte) (ImageInfo, error) { return parseRecord[ImageInfo](b, "") }

func (i *ImageInfo) fields(c *codec) {
	c.must("NAME")
	c.quoted("PID", '\'', &i.PID)
	c.quoted("GID", '\'', &i.GID)
	c.quoted("NAME", '\'', &i.Name)
	c.quoted("VERSION", '\'', &i.Version)
	c.extra(&i.Extra)
}

// Append renders the reply.
func (i ImageInfo) Append(dst []byte, version int) []byte {
	if i.Name == "" {
		return dst
	}
	return appendRecord(dst, version, "", &i)
}

// ImageSize is the reply to imagesize <image>. The zero value is an empty reply:
// no such image.
type ImageSize struct {
	Low, High  int // sectors
	SectorSize int // bytes
	Reloc      int
	Extra      Extra
}

// ParseImageSize reads the reply to imagesize.
func ParseImageSize(b []byte) (ImageSize, error) { return parseRecord[ImageSize](b, "") }

func (i *ImageSize) fields(c *codec) {
	c.need("IMAGELOW", "IMAGEHIGH")
	c.number("IMAGELOW", &i.Low)
	c.number("IMAGEHIGH", &i.High)
	c.number("IMAGESSIZE", &i.SectorSize)
	c.number("IMAGERELOC", &i.Reloc)
	c.extra(&i.Extra)
}

// Append renders the reply.
func (i ImageSize) Append(dst []byte, version int) []byte {
	if i.Low == 0 && i.High == 0 && i.SectorSize == 0 && i.Reloc == 0 && i.Extra == nil {
		return dst
	}
	return appendRecord(dst, version, "", &i)
}

// BootWhat is the reply to bootwhat: what the node's boot loader should do.
type BootWhat struct {
	Status string // success; "": empty reply
	Type   int
	Flags  int    // from version 35
	What   string // partition or path; may be empty
	Extra  Extra
}

// ParseBootWhat reads the reply to bootwhat.
func ParseBootWhat(b []byte) (BootWhat, error) { return parseRecord[BootWhat](b, "") }

func (w *BootWhat) fields(c *codec) {
	c.must("STATUS")
	c.text("STATUS", &w.Status)
	c.number("TYPE", &w.Type)
	if c.since(35) {
		c.number("FLAGS", &w.Flags)
	}
	c.option("WHAT", &w.What)
	c.extra(&w.Extra)
}

// Append renders the reply.
func (w BootWhat) Append(dst []byte, version int) []byte {
	if w.Status == "" {
		return dst
	}
	return appendRecord(dst, version, "", &w)
}
