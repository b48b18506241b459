package answer

import (
	"fmt"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// partition is the row of the node's first partition, or of the one with this
// OS.
func (c *call) partition(osid string) testbed.Row {
	for p := range c.db.Where("partitions", "node_id", c.who.id) {
		if osid == "" || p.Is("osid", osid) {
			return p
		}
	}
	return testbed.Row{}
}

// image is what the node's default OS was loaded from.
func (c *call) image() testbed.Row {
	osid := c.who.node.Text("def_boot_osid")
	if osid == "" {
		return testbed.Row{}
	}
	p := c.partition(osid)
	return c.imageVersion(p.Text("imageid"), p.Text("imageid_version"))
}

// imageVersion is the row of one version of an image.
func (c *call) imageVersion(id, version string) testbed.Row {
	for v := range c.db.Where("image_versions", "imageid", id) {
		if v.Is("version", version) || version == "" {
			return v
		}
	}
	return testbed.Row{}
}

func (c *call) imageInfo() {
	if img := c.image(); !img.IsZero() {
		c.linef("PID='%s' GID='%s' NAME='%s' VERSION='%s'", img.Text("pid"), img.Text("gid"), img.Text("imagename"), img.Text("version"))
	}
}

// imageSize takes NAME, PROJECT/NAME or PROJECT/NAME:VERSION.
func (c *call) imageSize() {
	arg, _, _ := strings.Cut(strings.TrimSpace(c.args), " ")
	pid, name, ok := strings.Cut(arg, "/")
	if !ok {
		pid, name = opsProject, arg
	}
	name, version, _ := strings.Cut(name, ":")
	if name == "" {
		return
	}
	for img := range c.db.Where("images", "imagename", name) {
		if !img.Is("pid", pid) {
			continue
		}
		if version == "" {
			version = img.Text("version")
		}
		if v := c.imageVersion(img.Text("imageid"), version); !v.IsZero() {
			c.linef("%s", sizes(v))
			return
		}
	}
	c.refuse("there is no image %q", arg)
}

func sizes(v testbed.Row) string {
	return fmt.Sprintf("IMAGELOW=%s IMAGEHIGH=%s IMAGESSIZE=%s IMAGERELOC=%s",
		v.Text("lba_low"), v.Text("lba_high"), v.Text("lba_size"), v.Text("relocatable"))
}

// loadInfo says what to load onto the disk, a line for each image.
func (c *call) loadInfo() {
	for r := range c.db.Where("current_reloads", "node_id", c.who.id) {
		if c.version < 33 {
			c.linef("ADDR=/NEWER-MFS-NEEDED PART=0 PARTOS=Bogus")
			return
		}
		c.linef("%s", c.reload(r))
	}
}

func (c *call) reload(r testbed.Row) string {
	img := c.imageVersion(r.Text("image_id"), r.Text("imageid_version"))
	os := c.db.First("os_info_versions", "osid", img.Text("default_osid"))
	kind := c.db.Where("node_type_attributes", "type", c.who.node.Text("type"))
	attr := func(key, fallback string) string {
		if v := attribute(c.db.Where("node_attributes", "node_id", c.who.id), key); v != "" {
			return v
		}
		if v := attribute(kind, key); v != "" {
			return v
		}
		return fallback
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ADDR=%s PART=%s PARTOS=%s SERVER=%s OSVERSION=%s", img.Text("frisbee_address"), img.Text("loadpart"),
		os.Text("OS"), c.site.BossIP, os.Text("version"))
	if p := c.partition(img.Text("default_osid")); img.Int("loadpart") == 0 && !p.IsZero() && c.version >= 36 {
		fmt.Fprintf(&b, " BOOTPART=%s", p.Text("partition"))
	}
	fmt.Fprintf(&b, " DISK=%s%s ZFILL=%d ACPI=%s MBRVERS=%s ASF=%s PREPARE=%d NOCLFLUSH=%s DOM0MEM=%s",
		attr("disktype", "ad"), attr("bootdisk_unit", "0"), r.Int("mustwipe"), attr("use_acpi", "unknown"), img.Text("mbr_version"),
		attr("use_asf", "unknown"), r.Int("prepare"), attr("disable_clflush", "unknown"), attr("dom0mem", "1024M"))
	fmt.Fprintf(&b, " IMAGEID=%s,%s,%s", img.Text("pid"), img.Text("gid"), img.Text("imagename"))
	if c.site.ImageProvenance && (!c.who.vnode || c.version >= 39) {
		fmt.Fprintf(&b, ":%s", img.Text("version"))
	}
	if c.who.vnode || c.version >= 38 {
		const chunk = 1 << 20
		fmt.Fprintf(&b, " IMAGEMTIME=%d IMAGECHUNKS=%d", serial(img.Text("updated")), (img.Int("size")+chunk-1)/chunk)
	}
	if c.version >= 38 {
		fmt.Fprintf(&b, " %s", sizes(img))
	}
	return b.String()
}

// The kinds of thing that a node can boot.
const (
	bootNothing   = 0
	bootPartition = 1
	bootWait      = 4
	bootMFS       = 7
)

// bootWhat says what to boot: the next, else the temporary, else the default OS.
func (c *call) bootWhat() {
	kind, what := bootWait, ""
	for _, column := range []string{"next_boot_osid", "temp_boot_osid", "def_boot_osid"} {
		osid := c.who.node.Text(column)
		if osid == "" || osid == "0" {
			continue
		}
		kind = bootNothing
		if os := c.db.First("os_info_versions", "osid", osid); os.Has("path") {
			kind, what = bootMFS, os.Text("path")
		} else if p := c.partition(osid); !p.IsZero() {
			kind, what = bootPartition, p.Text("partition")
		}
		break
	}
	line := fmt.Sprintf("STATUS=success TYPE=%d", kind)
	if c.version >= 35 {
		line += " FLAGS=0"
	}
	if what != "" {
		line += " WHAT=" + what
	}
	c.linef("%s", line)
}
