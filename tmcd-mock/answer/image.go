package answer

import (
	"fmt"
	"strconv"
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
	v := first(c.where("image_versions", "imageid", p.Text("imageid"), "version", p.Text("imageid_version")))
	if v.IsZero() {
		return img, false
	}
	img = imageOf{name: v.Text("imagename"), version: v.Text("version")}
	img.pid, img.gid = c.imageOwner(v)
	return img, img.pid != "" && img.gid != ""
}

// imageOwner are the project and the group that a row of an image, or of a
// version of one, names by number; "" for one that isn't there.
func (c *call) imageOwner(row testbed.Row) (pid, gid string) {
	pid = c.db.First("projects", "pid_idx", row.Text("pid_idx")).Text("pid")
	gid = c.db.First("groups", "gid_idx", row.Text("gid_idx")).Text("gid")
	return pid, gid
}

func (c *call) imageInfo() {
	if img, ok := c.nodeImage(); ok {
		c.linef("PID='%s' GID='%s' NAME='%s' VERSION='%s'", img.pid, img.gid, img.name, img.version)
	}
}

// imageSize takes NAME, PROJECT/NAME or PROJECT/NAME:VERSION; a comma and what
// follows it names a file beside the image.
func (c *call) imageSize() {
	if strings.ContainsAny(c.args, "'\"\\\n\r\x00\x1a") {
		c.refuse("imagesize: characters that no image has")
		return
	}
	arg, _, _ := strings.Cut(c.args, " ")
	pid, name, ok := strings.Cut(arg, "/")
	if !ok {
		pid, name = opsProject, arg
	}
	v, known := c.sizedVersion(pid, name)
	switch {
	case !known:
		c.refuse("there is no image %q", arg)
	case v.Int("lba_high") == 0 || v.Value("lba_low") == nil || v.Value("lba_size") == nil || v.Value("relocatable") == nil:
		c.out = append(c.out, arg...) // sizes that nobody noted: the original sends the question back
	default:
		c.linef("%s", sizes(v))
	}
}

// sizedVersion is the row of an image's version, the current one if none is
// named; false if there is no such image. An image that is there may lack the
// version that is named.
func (c *call) sizedVersion(pid, name string) (v testbed.Row, known bool) {
	name, version, ok := strings.Cut(name, ":")
	if _, number := scanInt(version); ok && !number {
		name, ok = name+":"+version, false
	}
	if !ok {
		name, _, _ = strings.Cut(name, ",")
	}
	for img := range c.where("images", "imagename", name, "pid", pid) {
		if ok {
			return first(c.where("image_versions", "imageid", img.Text("imageid"), "version", strconv.Itoa(testbed.Atoi(version)))), true
		}
		for v := range c.where("image_versions", "imageid", img.Text("imageid"), "version", img.Text("version")) {
			if v.Value("deleted") == nil {
				return v, true
			}
		}
	}
	return testbed.Row{}, false
}

func sizes(v testbed.Row) string {
	return fmt.Sprintf("IMAGELOW=%s IMAGEHIGH=%s IMAGESSIZE=%s IMAGERELOC=%s",
		v.Text("lba_low"), v.Text("lba_high"), v.Text("lba_size"), v.Text("relocatable"))
}
