package answer_test

import "testing"

// TestImageSize: names, versions, and what isn't known of them.
func TestImageSize(t *testing.T) {
	const known = "IMAGELOW=63 IMAGEHIGH=6281414 IMAGESSIZE=512 IMAGERELOC=1\n"
	tb := with(t, "image_versions", []columns{{"imageid": int64(200), "version": int64(1), "lba_low": int64(1), "lba_high": int64(2), "lba_size": int64(3), "relocatable": int64(0)}})
	alter(tb, "image_versions", "imageid", "201", columns{"deleted": "2016-01-01 00:00:00"})
	alter(tb, "image_versions", "imageid", "202", columns{"lba_high": int64(0)})
	for args, want := range map[string]string{
		"FBSD83-STD": known, "emulab-ops/fbsd83-std,sig": known, "FBSD83-STD:0,sig": known, "FBSD83-STD:0x": known,
		"FBSD83-STD:1":            "IMAGELOW=1 IMAGEHIGH=2 IMAGESSIZE=3 IMAGERELOC=0\n",
		"emulab-ops/FBSD83-STD:9": "emulab-ops/FBSD83-STD:9", "XEN43-64-STD": "XEN43-64-STD",
		"FBSD-JAIL": "", "FBSD-JAIL:0": known, "FBSD83-STD:x": "", "testbed/FBSD83-STD": "", "FBSD83-STD\n": "", "it's": "", " FBSD83-STD": "",
	} {
		visit{"imagesize", "", "VERSION=40 imagesize " + args + " ", want, ""}.check(t, tb)
	}
}

// TestImageNames: the project and the group of an image are those of its
// numbers; an image without them has no name, nor one of another version.
func TestImageNames(t *testing.T) {
	for _, tc := range []struct{ name, image, partition, pid, version string }{
		{"by number", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1, pid: old, gid: old", "imageid: 5, imageid_version: 3", "q", "3"},
		{"the first partition", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 6}, {node_id: vm1, partition: 0, osid: 4, imageid: 5, imageid_version: 3", "q", "3"},
		{"another version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5, imageid_version: 2", "", ""},
		{"no version", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 1", "imageid: 5", "", ""},
		{"no project", "imageid: 5, version: 3, pid_idx: 99, gid_idx: 1", "imageid: 5, imageid_version: 3", "", ""},
		{"no group", "imageid: 5, version: 3, pid_idx: 8, gid_idx: 99", "imageid: 5, imageid_version: 3", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := configBed(t, "  nodes: [{node_id: vm1, jailflag: 1, def_boot_osid: 4}]\n  partitions: [{node_id: vm1, partition: 1, osid: 4, "+tc.partition+
				"}]\n  image_versions: [{imagename: IMG, "+tc.image+"}]\n")
			info, name, old := "", "", ""
			if tc.pid != "" {
				info = "PID='q' GID='p' NAME='IMG' VERSION='3'\n"
				old = "IMAGENAME=\"q,p,IMG\"\n"
				name = "IMAGENAME=\"q,p,IMG:3\"\n"
			}
			head := "PORTRANGE=\"0,65535\"\nSSHDPORT=30001\n" + jailPermissions + "IPADDRS=\"\"\n"
			asks(t, tb, map[string]string{"10.0.0.1 VNODEID=vm1 VERSION=40 imageinfo": info,
				"10.0.0.1 VNODEID=vm1 VERSION=39 jailconfig": head + name, "10.0.0.1 VNODEID=vm1 VERSION=38 jailconfig": head + old})
		})
	}
}
