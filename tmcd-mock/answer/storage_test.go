package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

const storageBed = `
projects: {p: {head: lea}}
users: {lea: {}}
types:
  pc: {class: pc}
  blockstore: {class: blockstore, virtual: true}
experiments:
  p/e: {creator: lea, lans: {san: {mask: 24, kind: none, members: {a: 10.1.0.1, vol: 10.1.0.2}}, own: {mask: 24, kind: none, members: {a: 10.2.0.1}}}}
hosts:
  one: {ip: 127.0.0.1, experiment: p/e, name: a}
  two: {ip: 127.0.0.2, experiment: p/e, name: b}
  store: {ip: 127.0.0.3}
  sub: {ip: 127.0.0.9}
vnodes:
  dbox-1: {host: store, experiment: p/e, name: vol, type: blockstore, jailed: false}
rows:
  blockstores:
    - {bsidx: 1, node_id: one, bs_id: sda, type: disk, total_size: 4000000000}
    - {bsidx: 2, node_id: one, bs_id: pool, type: disk, role: compound, total_size: 5}
    - {bsidx: 3, node_id: one, bs_id: sdb, type: disk, role: element, total_size: 70}
    - {bsidx: 4, node_id: two, bs_id: sda, type: bare, role: element, total_size: 70}
    - {bsidx: 5, node_id: two, bs_id: sdb, type: disk, role: element, total_size: 70}
    - {bsidx: 6, node_id: two, bs_id: sdc, type: bare, role: element, total_size: 70}
  blockstore_type_attributes:
    - {type: disk, attrkey: class, attrvalue: local}
    - {type: disk, attrkey: protocol, attrvalue: SAS}
  blockstore_attributes:
    - {bsidx: 1, attrkey: serialnum, attrvalue: S1}
    - {bsidx: 3, attrkey: serialnum, attrvalue: S3}
    - {bsidx: 3, attrkey: protocol, attrvalue: SCSI}
    - {bsidx: 4, attrkey: class, attrvalue: local}
    - {bsidx: 4, attrkey: protocol, attrvalue: SAS}
    - {bsidx: 4, attrkey: serialnum, attrvalue: S4}
  virt_blockstores:
    - {exptidx: 100, pid: p, eid: e, vname: odd, size: 1, fixed: a}
    - {exptidx: 100, pid: p, eid: e, vname: disk, size: 20, fixed: a}
    - {exptidx: 100, pid: p, eid: e, vname: set, size: 30, fixed: a}
  virt_blockstore_attributes:
    - {exptidx: 100, vname: disk, attrkey: class, attrvalue: local}
    - {exptidx: 100, vname: set, attrkey: class, attrvalue: local}
    - {exptidx: 100, vname: set, attrkey: protocol, attrvalue: SAS}
    - {exptidx: 100, vname: set, attrkey: placement, attrvalue: SYSVOL}
    - {exptidx: 100, vname: set, attrkey: mountpoint, attrvalue: /set}
    - {exptidx: 100, vname: set, attrkey: dataset, attrvalue: p/data}
    - {exptidx: 100, vname: far, attrkey: class, attrvalue: SAN}
    - {exptidx: 100, vname: far, attrkey: protocol, attrvalue: iSCSI}
    - {exptidx: 100, vname: far, attrkey: readonly, attrvalue: "1"}
    - {exptidx: 100, vname: far, attrkey: mountpoint, attrvalue: /far}
    - {exptidx: 100, vname: far, attrkey: lease, attrvalue: "12"}
  reserved_blockstores:
    - {exptidx: 100, bsidx: 9, node_id: store, bs_id: tank, vname: far, pid: p, eid: e, size: 100, vnode_id: dbox-1}
`

// TestStorageConfig: the steps of a node and of a volume that is a vnode.
func TestStorageConfig(t *testing.T) {
	const elements = "CMD=ELEMENT IDX=1 CLASS=local PROTO=SAS HOSTID=localhost VOLNAME=sda UUID=S1 UUID_TYPE=serial VOLSIZE=-294967296\n" +
		"CMD=ELEMENT IDX=2 CLASS=local PROTO=SCSI HOSTID=localhost VOLNAME=sdb UUID=S3 UUID_TYPE=serial VOLSIZE=70\n"
	const far = " CLASS=SAN PROTO=iSCSI UUID=iqn.2000-10.net.emulab:p:e:far UUID_TYPE=iqn PERMS=RO MOUNTPOINT=/far"
	steps := func(server string) string {
		return elements + "CMD=SLICE IDX=3 VOLNAME=disk VOLSIZE=20 CLASS=local BSID=ANY\n" +
			"CMD=SLICE IDX=5 VOLNAME=set VOLSIZE=30 CLASS=local BSID=SYSVOL PROTO=SAS MOUNTPOINT=/set DATASET=p/data SERVER=" + server + "\n" +
			"CMD=ELEMENT IDX=6 HOSTID=vol VOLNAME=far VOLSIZE=100" + far + " PERSIST=1\n"
	}
	for _, tc := range []struct{ name, more, src, request, want string }{
		{"a node", "", "127.0.0.1", "", steps("10.1.32.70")},
		{"a subboss", "  subbosses: [{node_id: one, service: frisbee, subboss_id: sub}]\n", "127.0.0.1", "", steps("127.0.0.9")},
		{"one that is off", "  subbosses: [{node_id: one, service: frisbee, subboss_id: sub, disabled: 1}]\n", "127.0.0.1", "", steps("10.1.32.70")},
		{"a disk of its own words, then one without a number", "", "127.0.0.2", "",
			"CMD=ELEMENT IDX=1 CLASS=local PROTO=SAS HOSTID=localhost VOLNAME=sda UUID=S4 UUID_TYPE=serial VOLSIZE=70\n"},
		{"a volume", "", "127.0.0.3", "VNODEID=dbox-1 ", "CMD=SLICE IDX=1 BSID=tank VOLNAME=far VOLSIZE=100\nCMD=EXPORT IDX=2 VOLNAME=far" + far + "\n"},
		{"a volume that is two", "    - {exptidx: 100, bsidx: 10, vname: far2, vnode_id: dbox-1}\n", "127.0.0.3", "VNODEID=dbox-1 ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(ask(t, smallBed(t, storageBed+tc.more), tc.src, answer.TCP, tc.request+"VERSION=40 storageconfig ").Reply); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}
