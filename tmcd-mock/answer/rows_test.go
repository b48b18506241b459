package answer_test

import "testing"

// TestKeyOrder: rows that are found by the first columns of a key are told in
// the order of the key if they are few or the key tells all, others in that in
// which they stand.
func TestKeyOrder(t *testing.T) {
	rows := `
  virt_node_attributes:
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: ZZ, attrvalue: one}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: B, attrvalue: another}
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: aa, attrvalue: two}
    - {pid: p, eid: e, exptidx: 100, vname: a, attrkey: M, attrvalue: three}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: E, attrvalue: b}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: D, attrvalue: c}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: C, attrvalue: d}
    - {pid: p, eid: e, exptidx: 100, vname: b, attrkey: A, attrvalue: e}
  virt_node_disks:
    - {pid: p, eid: e, exptidx: 100, vname: a, diskname: z}
    - {pid: p, eid: e, exptidx: 100, vname: a, diskname: b}
  virt_tiptunnels:
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: web}
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: fw}
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: nobody}
    - {pid: p, eid: e, exptidx: 100, host: a, vnode: none}
  virt_node_motelog:
    - {pid: p, eid: e, vname: a, logfileid: d}
    - {pid: p, eid: e, vname: a, logfileid: C}
    - {pid: p, eid: e, vname: a, logfileid: b}
    - {pid: p, eid: e, vname: a, logfileid: A}
  tiplines:
    - {node_id: pc2, tipname: pc2, server: s, portnum: 2, keylen: 1, keydata: k}
    - {node_id: pc3, tipname: pc3, server: s, portnum: 3, keylen: 1, keydata: k}
  nodes: [{node_id: vm9, type: pcvm, phys_nodeid: pc1, role: virtnode}, {node_id: vm0, type: pcvm, phys_nodeid: pc1, role: virtnode}]
  reserved: [{node_id: vm9, pid: p, eid: e, exptidx: 100, vname: c}, {node_id: vm0, pid: p, eid: e, exptidx: 100, vname: d}]
`
	const disk = " DISKTYPE='' DISKSIZE='' MOUNTPOINT='' PARAMETERS='' COMMAND=''\n"
	asks(t, configBed(t, rows), map[string]string{
		"10.0.0.1 VNODEID=vm1 VERSION=40 nodeattributes": "aa=\"two\"\nM=\"three\"\nZZ=\"one\"\n",
		"10.0.0.1 VNODEID=vm2 VERSION=40 nodeattributes": "B=\"another\"\nE=\"b\"\nD=\"c\"\nC=\"d\"\nA=\"e\"\n",
		"10.0.0.1 VNODEID=vm1 VERSION=40 disks":          "DISK DISKNAME=b" + disk + "DISK DISKNAME=z" + disk,
		"10.0.0.1 VNODEID=vm1 VERSION=40 tiptunnels":     "VNODE=fw SERVER=s PORT=2 KEYLEN=1 KEY=k\nVNODE=web SERVER=s PORT=3 KEYLEN=1 KEY=k\n",
		"10.0.0.1 VNODEID=vm1 VERSION=40 motelog": "MOTELOGID=A CLASSFILE= SPECFILE=\nMOTELOGID=b CLASSFILE= SPECFILE=\n" +
			"MOTELOGID=C CLASSFILE= SPECFILE=\nMOTELOGID=d CLASSFILE= SPECFILE=\n",
		"10.0.0.1 VERSION=6 vnodelist": "vm1\nvm2\nvm9\nvm0\n",
	})
}
