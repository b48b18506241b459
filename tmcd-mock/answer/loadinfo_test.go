package answer_test

import (
	"strings"
	"testing"
	"time"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// loading are nodes that load images.
const loading = `{"defaults": {},
"node_types": [
 {"type": "pc", "class": "pc", "isremotenode": 0}, {"type": "big", "class": "pc", "isremotenode": 0},
 {"type": "pcvm", "class": "pcvm", "isvirtnode": 1, "isremotenode": 0},
 {"type": "far", "class": "pcwa", "isremotenode": 1}, {"type": "farvm", "class": "pcvwa", "isvirtnode": 1, "isremotenode": 1}],
"node_type_attributes": [
 {"type": "big", "attrkey": "disktype", "attrvalue": "sd"}, {"type": "big", "attrkey": "bootdisk_unit", "attrvalue": "2x"},
 {"type": "big", "attrkey": "bootdisk_bios_id", "attrvalue": "0x80"}, {"type": "big", "attrkey": "console_type", "attrvalue": "sio"},
 {"type": "big", "attrkey": "vgaonly", "attrvalue": "1"}, {"type": "big", "attrkey": "use_acpi", "attrvalue": "no"},
 {"type": "big", "attrkey": "use_asf", "attrvalue": "yes"}, {"type": "big", "attrkey": "no_clflush", "attrvalue": "1"},
 {"type": "big", "attrkey": "dom0mem", "attrvalue": "2G"}, {"type": "big", "attrkey": "disable_if", "attrvalue": "eth7"},
 {"type": "big", "attrkey": "DISKTYPE", "attrvalue": "no"}],
"node_attributes": [
 {"node_id": "own", "attrkey": "disktype", "attrvalue": ""}, {"node_id": "own", "attrkey": "console_type", "attrvalue": ""},
 {"node_id": "own", "attrkey": "use_acpi", "attrvalue": "yes"}, {"node_id": "own", "attrkey": "bootdisk_bios_id", "attrvalue": "-1"},
 {"node_id": "vga", "attrkey": "vgaonly", "attrvalue": "1"}, {"node_id": "vga", "attrkey": "bootdisk_bios_id", "attrvalue": "010"},
 {"node_id": "trim", "attrkey": "bootdisk_trim", "attrvalue": "1"}],
"nodes": [
 {"node_id": "pc1", "type": "pc", "phys_nodeid": "pc1"}, {"node_id": "own", "type": "big", "phys_nodeid": "own"},
 {"node_id": "big", "type": "big", "phys_nodeid": "big"}, {"node_id": "vga", "type": "pc", "phys_nodeid": "vga"},
 {"node_id": "sub", "type": "pc", "phys_nodeid": "sub"}, {"node_id": "v1", "type": "pcvm", "phys_nodeid": "pc1"},
 {"node_id": "far1", "type": "far", "phys_nodeid": "far1"}, {"node_id": "fv1", "type": "farvm", "phys_nodeid": "far1"},
 {"node_id": "trim", "type": "pc", "phys_nodeid": "trim"}, {"node_id": "bad", "type": "pc", "phys_nodeid": "bad"}],
"interfaces": [
 {"node_id": "pc1", "IP": "10.0.0.1", "role": "ctrl"}, {"node_id": "own", "IP": "10.0.0.2", "role": "ctrl"},
 {"node_id": "big", "IP": "10.0.0.3", "role": "ctrl"}, {"node_id": "vga", "IP": "10.0.0.4", "role": "ctrl"},
 {"node_id": "sub", "IP": "10.0.0.6", "role": "expt"}, {"node_id": "sub", "IP": "10.0.0.5", "role": "ctrl"},
 {"node_id": "far1", "IP": "10.0.0.7", "role": "ctrl"}, {"node_id": "trim", "IP": "10.0.0.8", "role": "ctrl"},
 {"node_id": "bad", "IP": "10.0.0.9", "role": "ctrl"}],
"subbosses": [
 {"node_id": "pc1", "service": "frisbee", "subboss_id": "sub"}, {"node_id": "big", "service": "dhcp", "subboss_id": "sub"},
 {"node_id": "vga", "service": "frisbee", "subboss_id": "sub", "disabled": 1}],
"reserved": [{"node_id": "trim", "pid": "emulab-ops", "eid": "reloading", "vname": null}],
"experiments": [{"idx": 5, "pid": "emulab-ops", "eid": "reloading", "expt_head_uid": "x", "expt_swap_uid": "x", "nfsmounts": "all"}],
"projects": [{"pid": "ops", "pid_idx": 2}], "groups": [{"pid": "ops", "gid": "grp", "gid_idx": 3}],
"images": [
 {"imageid": 1, "imagename": "WHOLE", "pid": "no", "gid": "no", "pid_idx": 2, "gid_idx": 3, "version": 4},
 {"imageid": 2, "imagename": "PART", "pid_idx": 2, "gid_idx": 3, "version": 0},
 {"imageid": 3, "imagename": "ALONE", "pid_idx": 9, "gid_idx": 3}],
"image_versions": [
 {"imageid": 1, "version": 4, "pid": "no", "gid": "no", "imagename": "NO", "loadpart": 0, "default_osid": 7, "default_vers": 1, "path": "/p", "size": 9},
 {"imageid": 1, "version": 3, "loadpart": 0, "default_osid": 7, "default_vers": 1, "mbr_version": "3", "path": "/p", "size": 1048577, "updated": "2016-03-01 00:00:00", "lba_high": 0, "lba_size": 512},
 {"imageid": 2, "version": 0, "loadpart": 2, "default_osid": 8, "default_vers": 0, "mbr_version": "", "path": "/p", "size": 1048576, "updated": "2016-03-01 00:00:00", "lba_low": 1, "lba_high": 2, "access_key": "k", "relocatable": 0},
 {"imageid": 3, "version": 0, "loadpart": 1}],
"os_info_versions": [
 {"osid": 7, "vers": 0, "OS": "No", "version": "no"}, {"osid": 7, "vers": 1, "OS": "Linux", "version": "3"}, {"osid": 8, "vers": 0, "OS": "FreeBSD", "version": "10"}],
"partitions": [
 {"node_id": "v1", "partition": 3, "osid": 7}, {"node_id": "v1", "partition": 2, "osid": 6}, {"node_id": "v1", "partition": 1, "osid": 7},
 {"node_id": "pc1", "partition": 2, "osid": 8}],
"current_reloads": [
 {"node_id": "pc1", "idx": 10, "image_id": 1, "imageid_version": 3, "mustwipe": 2, "prepare": 1},
 {"node_id": "pc1", "idx": 9, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "v1", "idx": 1, "image_id": 1, "imageid_version": 3, "mustwipe": 0, "prepare": 0},
 {"node_id": "own", "idx": 1, "image_id": 2},
 {"node_id": "big", "idx": 1, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "vga", "idx": 1, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "trim", "idx": 1, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "far1", "idx": 1, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "fv1", "idx": 1, "image_id": 2, "imageid_version": 0, "mustwipe": 0, "prepare": 0},
 {"node_id": "fv1", "idx": 2, "image_id": 1, "imageid_version": 3, "mustwipe": 0, "prepare": 0},
 {"node_id": "bad", "idx": 1, "image_id": 1, "imageid_version": 4, "mustwipe": 0, "prepare": 0},
 {"node_id": "bad", "idx": 2, "image_id": 3, "imageid_version": 0, "mustwipe": 0, "prepare": 0}]
}`

// TestLoadInfo: which rows and attributes go into which words, for which
// version (docs/spec/protocol.md §6).
func TestLoadInfo(t *testing.T) {
	const (
		newer = "ADDR=/NEWER-MFS-NEEDED PART=0 PARTOS=Bogus\n"
		plain = " ASF=unknown PREPARE=0 NOCLFLUSH=unknown"
		part  = " IMAGEID=ops,grp,PART:0"
		when  = " IMAGEMTIME=1456790400 IMAGECHUNKS=1 IMAGELOW=1 IMAGEHIGH=2 IMAGERELOC=0\n"
		bsd   = "ADDR= PART=2 PARTOS=FreeBSD SERVER=10.1.32.70 OSVERSION=10"
		whole = "ADDR= PART=0 PARTOS=Linux SERVER=10.0.0.5 OSVERSION=3"
		wide  = "ADDR=https://www.example.emulab.net/spewimage.php?imageid=2&access_key=k PART=2 PARTOS=FreeBSD OSVERSION=10 DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=1" + plain + " DOM0MEM=1024M"
	)
	for _, tc := range []struct{ name, src, request, reply string }{
		{"in order, from the subboss", "10.0.0.1", "VERSION=38 ", strings.Replace(bsd, "10.1.32.70", "10.0.0.5", 1) +
			" DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=1" + plain + " DOM0MEM=1024M" + part + when +
			whole + " DISK=ad0 ZFILL=2 ACPI=unknown MBRVERS=3 ASF=unknown PREPARE=1 NOCLFLUSH=unknown DOM0MEM=1024M IMAGEID=ops,grp,WHOLE:3 IMAGEMTIME=1456790400 IMAGECHUNKS=2\n"},
		{"too old a client for two images", "10.0.0.1", "VERSION=29 ", newer},
		{"too old a client", "10.0.0.1", "VERSION=32 ", newer},
		{"a line for each partition with the OS", "10.0.0.1", "VNODEID=v1 VERSION=36 ",
			whole + " BOOTPART=1 DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=3" + plain + " DOM0MEM=1024M IMAGEID=ops,grp,WHOLE IMAGEMTIME=1456790400 IMAGECHUNKS=2\n" +
				whole + " BOOTPART=3 DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=3" + plain + " DOM0MEM=1024M IMAGEID=ops,grp,WHOLE IMAGEMTIME=1456790400 IMAGECHUNKS=2\n"},
		{"attributes of the type", "10.0.0.3", "VERSION=33 ", bsd + " DISK=sd2 ZFILL=0 ACPI=no MBRVERS=1 ASF=yes PREPARE=0 NOCLFLUSH=1 CONSOLE=sio BIOSDISK=0x80 DOM0MEM=2G DISABLEIF=eth7" + part + "\n"},
		{"attributes of the node", "10.0.0.2", "VERSION=33 ", bsd + " DISK=sd2 ZFILL=0 ACPI=yes MBRVERS=1 ASF=yes PREPARE=0 NOCLFLUSH=1 CONSOLE=sio DOM0MEM=2G DISABLEIF=eth7" + part + "\n"},
		{"no console but VGA, a subboss that is off", "10.0.0.4", "VERSION=33 ", bsd + " DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=1" + plain + " VGAONLY=1 BIOSDISK=0x08 DOM0MEM=1024M" + part + "\n"},
		{"a remote host, any version", "10.0.0.7", "", wide + "\n"},
		{"a remote host's vnode, until the key that lacks", "10.0.0.7", "VNODEID=fv1 VERSION=40 ", wide + part + when},
		{"an image without a time", "10.0.0.9", "VERSION=38 ", ""},
		{"whose time isn't asked for, and one without a project", "10.0.0.9", "VERSION=37 ",
			strings.Replace(whole, "10.0.0.5", "10.1.32.70", 1) + " DISK=ad0 ZFILL=0 ACPI=unknown MBRVERS=1" + plain + " DOM0MEM=1024M IMAGEID=ops,grp,WHOLE:4\n"},
		{"nothing to load", "10.0.0.5", "VERSION=40 ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if res := ask(t, bedOfRows(t, loading), tc.src, answer.TCP, tc.request+"loadinfo "); string(res.Reply) != tc.reply {
				t.Errorf("reply %q (%s)\nwant  %q", res.Reply, res.Why, tc.reply)
			}
		})
	}
}

// TestTrim: a node that reloads is told to trim its disk each time that the
// interval is over.
func TestTrim(t *testing.T) {
	last := time.Date(2016, 6, 1, 12, 0, 0, 0, time.UTC).Unix() // when ask asks
	for _, tc := range []struct {
		name      string
		site, own string
		last      int64
		trims     bool
	}{
		{"never on this site", "0", "5", 0, false},
		{"never yet", "100", "", 0, true},
		{"not yet", "100", "", last - 100, false},
		{"again", "100", "", last - 101, true},
		{"by its own interval", "100", "10", last - 11, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := bedOfRows(t, loading)
			tb.Apply([]testbed.Change{{Table: "sitevariables", Op: testbed.Upsert, Set: testbed.Columns{"value": tc.site},
				Where: map[string]string{"name": "general/disk_trim_interval"}}})
			for key, value := range map[string]any{"bootdisk_trim_interval": tc.own, "bootdisk_lasttrim": tc.last} {
				tb.Apply([]testbed.Change{{Table: "node_attributes", Op: testbed.Upsert, Set: testbed.Columns{"attrvalue": value},
					Where: map[string]string{"node_id": "trim", "attrkey": key}}})
			}
			res := ask(t, tb, "10.0.0.8", answer.TCP, "VERSION=40 loadinfo ")
			if got := strings.Contains(string(res.Reply), " DOM0MEM=1024M TRIM=1 IMAGEID="); got != tc.trims {
				t.Errorf("reply %q, trims %v", res.Reply, tc.trims)
			}
			if got := len(res.Changes) == 1 && res.Changes[0].Set["attrvalue"] == "1464782400"; got != tc.trims {
				t.Errorf("changes %v", res.Changes)
			}
			if again := ask(t, tb, "10.0.0.8", answer.TCP, "VERSION=40 loadinfo "); strings.Contains(string(again.Reply), "TRIM") {
				t.Errorf("and again %q", again.Reply)
			}
		})
	}
}
