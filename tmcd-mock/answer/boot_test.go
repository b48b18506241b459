package answer_test

import "testing"

// TestBootWhat: what to boot, by the rows of the node and its OS.
func TestBootWhat(t *testing.T) {
	for _, tc := range []struct {
		name  string
		node  columns // of pc1
		os    columns // of OS 104, Frisbee's
		disk  any     // bootdisk_bios_id
		reply string
	}{
		{"default, with a command line", columns{"def_boot_cmd_line": "-v it's"}, nil, nil, "TYPE=1 FLAGS=0 WHAT=1 CMDLINE='-v it's'"},
		{"temporary, without the default's", columns{"temp_boot_osid": int64(104), "def_boot_cmd_line": "-v"}, nil, nil, "TYPE=7 FLAGS=0 WHAT=10.1.32.70:/tftpboot/frisbee"},
		{"next before temporary", columns{"temp_boot_osid": int64(104), "next_boot_osid": int64(100), "next_boot_cmd_line": "-s"}, nil, nil, "TYPE=1 FLAGS=0 WHAT=1 CMDLINE='-s'"},
		{"an OS that isn't on the disk", columns{"next_boot_osid": int64(103), "next_boot_cmd_line": "-s"}, nil, nil, "TYPE=0 FLAGS=0 CMDLINE='-s'"},
		{"OS 0", columns{"def_boot_osid": int64(0)}, nil, nil, "TYPE=0 FLAGS=0"},
		{"no OS", columns{"def_boot_osid": nil}, nil, nil, "TYPE=4 FLAGS=0"},
		{"another disk", nil, nil, "128", "TYPE=9 FLAGS=0"},
		{"a disk in hexadecimal", nil, nil, "0x80", "TYPE=1 FLAGS=0 WHAT=1"},
		{"a path that is no MFS", columns{"temp_boot_osid": int64(104)}, columns{"mfs": int64(0)}, nil, "TYPE=3 FLAGS=0"},
		{"a path with arguments", columns{"temp_boot_osid": int64(104)}, columns{"path": "/tftpboot/x -a b"}, nil, "TYPE=7 FLAGS=0 WHAT=/tftpboot/x CMDLINE='-a b'"},
		{"a trusted boot", columns{"temp_boot_osid": int64(104)}, columns{"osfeatures": "ping,ontrustedboot"}, nil, "TYPE=7 FLAGS=2 WHAT=10.1.32.70:/tftpboot/frisbee"},
		{"a trusted boot anew", columns{"temp_boot_osid": int64(104), "op_mode": "PXEKERNEL"}, columns{"osfeatures": "ping,ontrustedboot"}, nil, "TYPE=5 FLAGS=2"},
		{"another version of the OS", columns{"temp_boot_osid": int64(104)}, columns{"vers": int64(1)}, nil, "TYPE=0 FLAGS=0"},
		{"a foreign PXE program", columns{"pxe_boot_path": "/tftpboot/pxelinux.0"}, nil, nil, "TYPE=5 FLAGS=0"},
		{"its own PXE program", columns{"pxe_boot_path": "/tftpboot/pxeboot.emu"}, nil, nil, "TYPE=1 FLAGS=0 WHAT=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tb := with(t)
			if tc.disk != nil {
				tb = with(t, "node_attributes", []columns{{"node_id": "pc1", "attrkey": "bootdisk_bios_id", "attrvalue": tc.disk}})
			}
			alter(tb, "nodes", "node_id", "pc1", tc.node)
			alter(tb, "os_info_versions", "osid", "104", tc.os)
			visit{tc.name, "", "VERSION=40 bootwhat ", "STATUS=success " + tc.reply + "\n", ""}.check(t, tb)
		})
	}
}

// TestBootPartition: of two partitions with the OS the one with the lower number.
func TestBootPartition(t *testing.T) {
	tb := with(t, "partitions", []columns{{"node_id": "pc5", "partition": int64(3), "osid": int64(100)}, {"node_id": "pc5", "partition": int64(2), "osid": int64(100)}})
	visit{"the lower", "127.0.0.5", "VERSION=40 bootwhat ", "STATUS=success TYPE=1 FLAGS=0 WHAT=2\n", ""}.check(t, tb)
}

// TestBootNobody: a type that boots without being told gets what new nodes get.
func TestBootNobody(t *testing.T) {
	tb := with(t, "node_type_attributes", []columns{{"type": "pc850", "attrkey": "nobootinfo", "attrvalue": "1"}})
	visit{"the MFS of new nodes", "", "VERSION=34 bootwhat ", "STATUS=success TYPE=7 WHAT=10.1.32.70:/tftpboot/freebsd.newnode\n", ""}.check(t, tb)
	alter(tb, "os_info", "osid", "105", columns{"pid": "testbed"})
	visit{"without one", "", "VERSION=40 bootwhat ", "STATUS=success TYPE=0 FLAGS=0\n", ""}.check(t, tb)
}
