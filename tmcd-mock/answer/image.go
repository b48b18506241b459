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

// imageOf names a version of an image.
type imageOf struct{ pid, gid, name, version string }

// nodeImage is what the node's default OS was loaded from. The project and the
// group are those that own it, by number; without them it has no name.
func (c *call) nodeImage() (img imageOf, ok bool) {
	osid := c.who.node.Text("def_boot_osid")
	if osid == "" {
		return img, false
	}
	p := c.partition(osid)
	for v := range c.db.Where("image_versions", "imageid", p.Text("imageid")) {
		if !v.Is("version", p.Text("imageid_version")) {
			continue
		}
		project := c.db.First("projects", "pid_idx", v.Text("pid_idx"))
		group := c.db.First("groups", "gid_idx", v.Text("gid_idx"))
		return imageOf{project.Text("pid"), group.Text("gid"), v.Text("imagename"), v.Text("version")}, !project.IsZero() && !group.IsZero()
	}
	return img, false
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
	if img, ok := c.nodeImage(); ok {
		c.linef("PID='%s' GID='%s' NAME='%s' VERSION='%s'", img.pid, img.gid, img.name, img.version)
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
