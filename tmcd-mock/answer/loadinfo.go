package answer

import (
	"cmp"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// reload is an image that goes onto the node's disk, with the rows that tell
// about it; rows that aren't there are zero.
type reload struct {
	row, image, version, os testbed.Row
	boot                    string // partition, of an image of the whole disk
}

// loadInfo says what to load onto the disks, a line for each image. A line that
// can't be said ends the reply.
func (c *call) loadInfo() {
	list := c.reloads()
	if len(list) == 0 {
		return
	}
	const newer = "ADDR=/NEWER-MFS-NEEDED PART=0 PARTOS=Bogus"
	if len(list) > 1 && c.version <= 29 {
		c.linef(newer)
		return
	}
	disk := c.bootDisk()
	if c.who.local && c.version < 33 { // whom boss would have to start a server for
		c.linef(newer)
		return
	}
	for _, r := range list {
		line, why := c.reloadLine(r, disk)
		if why != "" {
			if len(c.out) == 0 {
				c.refuse("%s", why)
			}
			return
		}
		c.linef("%s", line)
	}
}

// reloads are the node's current ones by their index. An image of the whole
// disk is there as often as partitions have its OS.
func (c *call) reloads() []reload {
	var list []reload
	for _, row := range sorted(c.db.Where("current_reloads", "node_id", c.who.id), "idx") {
		r := reload{row: row, image: c.db.First("images", "imageid", row.Text("image_id"))}
		r.version = withNumber(c.db.Where("image_versions", "imageid", r.image.Text("imageid")), "version", row.Int("imageid_version"))
		r.os = withNumber(c.db.Where("os_info_versions", "osid", r.version.Text("default_osid")), "vers", r.version.Int("default_vers"))
		n := len(list)
		if !r.version.IsZero() && !r.version.Bool("loadpart") {
			for _, p := range sorted(c.where("partitions", "node_id", c.who.id, "osid", r.version.Text("default_osid")), "partition") {
				r.boot = p.Text("partition")
				list = append(list, r)
			}
		}
		if len(list) == n {
			list = append(list, r)
		}
	}
	return list
}

// withNumber is the first of some rows that has this number in a column; a
// column that isn't there has its default, 0.
func withNumber(rows iter.Seq[testbed.Row], column string, number int) testbed.Row {
	for r := range rows {
		if r.Int(column) == number {
			return r
		}
	}
	return testbed.Row{}
}

// bootDisk is what is known of the disk that a node boots from: attributes by
// their names, the node's own before those of its type. Empty ones don't count.
type bootDisk struct {
	attr map[string]string
	trim bool
}

func (d *bootDisk) take(r testbed.Row) {
	if r.Has("attrvalue") {
		d.attr[r.Text("attrkey")] = r.Text("attrvalue")
	}
}

func (d *bootDisk) or(key, fallback string) string {
	return cmp.Or(d.attr[key], fallback)
}

func (c *call) bootDisk() *bootDisk {
	d := &bootDisk{attr: map[string]string{}}
	for r := range c.db.Where("node_type_attributes", "type", c.who.node.Text("type")) {
		d.take(r)
	}
	for r := range c.db.Where("node_attributes", "node_id", c.who.id) {
		d.take(r)
	}
	d.trim = c.trim(d.attr)
	return d
}

// trim reports whether it is time to trim the disk, and if so notes when: for
// a node that is reloading, each time that its interval, or the site's, is
// over. A site whose interval is 0 trims nothing.
func (c *call) trim(attr map[string]string) bool {
	if testbed.Atoi(attr["bootdisk_trim"]) <= 0 || c.who.pid != opsProject || c.who.eid != "reloading" {
		return false
	}
	interval := uint32(testbed.Atoi(c.db.SiteVar("general/disk_trim_interval")))
	if interval == 0 {
		return false
	}
	if own := uint32(testbed.Atoi(attr["bootdisk_trim_interval"])); own != 0 {
		interval = own
	}
	last := uint32(testbed.Atoi(attr["bootdisk_lasttrim"]))
	now := c.q.Now.Unix()
	if now <= int64(last+interval) {
		return false
	}
	c.change(testbed.Change{Table: "node_attributes", Op: testbed.Upsert,
		Where: map[string]string{"node_id": c.who.id, "attrkey": "bootdisk_lasttrim"},
		Set:   testbed.Columns{"attrvalue": strconv.FormatInt(now, 10)}})
	return true
}

// reloadLine is the line about one image, or why there is none.
func (c *call) reloadLine(r reload, disk *bootDisk) (line, why string) {
	var b strings.Builder
	addr, server := "", ""
	if c.who.local {
		if s := c.frisbeeServer(); s != "" {
			server = " SERVER=" + s
		}
	} else {
		if !r.version.Has("access_key") {
			return "", fmt.Sprintf("image %s has no access key", r.row.Text("image_id"))
		}
		addr = fmt.Sprintf("%s/spewimage.php?imageid=%s&access_key=%s", c.site.WWW, r.image.Text("imageid"), r.version.Text("access_key"))
	}
	fmt.Fprintf(&b, "ADDR=%s PART=%s PARTOS=%s%s OSVERSION=%s", addr, r.version.Text("loadpart"), r.os.Text("OS"), server, r.os.Text("version"))
	if r.boot != "" && c.version >= 36 {
		fmt.Fprintf(&b, " BOOTPART=%s", r.boot)
	}
	fmt.Fprintf(&b, " DISK=%s%d ZFILL=%d ACPI=%s MBRVERS=%s ASF=%s PREPARE=%d NOCLFLUSH=%s",
		disk.or("disktype", "ad"), testbed.Atoi(disk.attr["bootdisk_unit"]), r.row.Int("mustwipe"), disk.or("use_acpi", "unknown"),
		cmp.Or(r.version.Text("mbr_version"), "1"), disk.or("use_asf", "unknown"), r.row.Int("prepare"), disk.or("no_clflush", "unknown"))
	disk.tail(&b)
	if c.who.vnode || c.who.local {
		why = c.imageWords(&b, r)
	}
	return b.String(), why
}

// tail writes what is told of a node only if somebody set it, but for memory.
func (d *bootDisk) tail(b *strings.Builder) {
	if console := d.attr["console_type"]; console != "" {
		fmt.Fprintf(b, " CONSOLE=%s", console)
	} else if vga := d.attr["vgaonly"]; vga != "" {
		fmt.Fprintf(b, " VGAONLY=%s", vga)
	}
	if id := d.attr["bootdisk_bios_id"]; id != "" && anyBase(id) >= 0 {
		fmt.Fprintf(b, " BIOSDISK=0x%02x", anyBase(id))
	}
	fmt.Fprintf(b, " DOM0MEM=%s", d.or("dom0mem", "1024M"))
	if off := d.attr["disable_if"]; off != "" {
		fmt.Fprintf(b, " DISABLEIF=%s", off)
	}
	if d.trim {
		b.WriteString(" TRIM=1")
	}
}

// imageWords tell which image it is, so that a node knows it again.
func (c *call) imageWords(b *strings.Builder, r reload) (why string) {
	pid, gid := c.imageOwner(r.image)
	name := r.image.Text("imagename")
	if name == "" || pid == "" || gid == "" {
		return fmt.Sprintf("image %s has no name, project or group", r.row.Text("image_id"))
	}
	fmt.Fprintf(b, " IMAGEID=%s,%s,%s", pid, gid, name)
	if c.site.ImageProvenance && (!c.who.vnode || c.version >= 39) {
		fmt.Fprintf(b, ":%d", r.row.Int("imageid_version"))
	}
	if !c.who.vnode && c.version < 38 {
		return ""
	}
	v := r.version
	size, changed := int64(anyBase(v.Text("size"))), uint32(serial(v.Text("updated")))
	if !v.Has("path") || size == 0 || changed == 0 { // the original would look at the file
		return fmt.Sprintf("image %s has no path, size or time", r.row.Text("image_id"))
	}
	const chunk = 1 << 20
	fmt.Fprintf(b, " IMAGEMTIME=%d IMAGECHUNKS=%d", changed, uint32((size+chunk-1)/chunk))
	if high := v.Text("lba_high"); c.version >= 38 && high != "" && high != "0" {
		for _, w := range []struct{ word, column string }{{"IMAGELOW", "lba_low"}, {"IMAGEHIGH", "lba_high"},
			{"IMAGESSIZE", "lba_size"}, {"IMAGERELOC", "relocatable"}} {
			if v.Value(w.column) != nil {
				fmt.Fprintf(b, " %s=%s", w.word, v.Text(w.column))
			}
		}
	}
	return ""
}

// anyBase reads the number that s begins with, as C's strtol with base 0: of
// base 16 behind 0x and of base 8 behind 0.
func anyBase(s string) int {
	s = strings.TrimLeft(s, " \t\n")
	sign, base := 1, 10
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	switch lower := strings.ToLower(s); {
	case strings.HasPrefix(lower, "0x") && len(s) > 2 && strings.ContainsRune("0123456789abcdef", rune(lower[2])):
		s, base = s[2:], 16
	case strings.HasPrefix(s, "0"):
		base = 8
	}
	end := 0
	for end < len(s) {
		if _, err := strconv.ParseUint(s[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	n, _ := strconv.ParseInt(s[:end], base, 64) // at the limit where it is too big, as strtol
	return sign * int(n)
}
