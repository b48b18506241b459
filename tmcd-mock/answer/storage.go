package answer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// storageConfig lists what a node does about its storage, step by step: disks
// to check, volumes to make of its own space, and volumes of storage hosts on
// its LANs. A vnode of type blockstore is such a volume on its host.
func (c *call) storageConfig() {
	s := storage{call: c}
	if c.who.vnode && c.who.node.Text("type") == "blockstore" {
		s.exported()
		return
	}
	if s.elements() {
		s.slices()
		s.remote()
	}
}

// storage numbers the steps as they are told.
type storage struct {
	*call
	steps int
}

// step begins a step, which counts even if it is dropped after all.
func (s *storage) step(kind string) string {
	s.steps++
	return fmt.Sprintf("CMD=%s IDX=%d", kind, s.steps)
}

// exported is the one volume that a blockstore vnode is.
func (s *storage) exported() {
	own := slices.Collect(s.where("reserved_blockstores", "exptidx", s.who.exptidx, "vnode_id", s.who.id))
	if len(own) != 1 {
		return
	}
	name := own[0].Text("vname")
	s.linef("%s BSID=%s VOLNAME=%s VOLSIZE=%d", s.step("SLICE"), own[0].Text("bs_id"), name, volumeSize(own[0], "size"))
	s.volume(s.step("EXPORT")+" VOLNAME="+name, name, false)
}

// elements are the node's disks. One without class, protocol or serial number
// ends the answer.
func (s *storage) elements() bool {
	for b := range s.db.Where("blockstores", "node_id", s.who.id) {
		if b.Has("role") && !b.Is("role", "element") { // the column's default
			continue
		}
		attr := map[string]string{}
		for a := range s.db.Where("blockstore_type_attributes", "type", b.Text("type")) {
			attr[a.Text("attrkey")] = a.Text("attrvalue")
		}
		for a := range s.db.Where("blockstore_attributes", "bsidx", b.Text("bsidx")) {
			attr[a.Text("attrkey")] = a.Text("attrvalue")
		}
		if attr["class"] == "" || attr["protocol"] == "" || attr["serialnum"] == "" {
			return false
		}
		s.linef("%s CLASS=%s PROTO=%s HOSTID=localhost VOLNAME=%s UUID=%s UUID_TYPE=serial VOLSIZE=%d", s.step("ELEMENT"),
			attr["class"], attr["protocol"], b.Text("bs_id"), attr["serialnum"], volumeSize(b, "total_size"))
	}
	return true
}

// slices are volumes that the node makes of its own space.
func (s *storage) slices() {
	for v := range s.ofNode("virt_blockstores", "fixed") {
		name := v.Text("vname")
		s.volume(fmt.Sprintf("%s VOLNAME=%s VOLSIZE=%d", s.step("SLICE"), name, volumeSize(v, "size")), name, false)
	}
}

// remote are the volumes of blockstore vnodes on LANs of the node, once for
// each LAN.
func (s *storage) remote() {
	var mine []string
	for l := range s.ofExperiment("virt_lans") {
		if l.Is("vnode", s.who.nickname) {
			mine = append(mine, strings.ToLower(l.Text("vname")))
		}
	}
	if len(mine) == 0 {
		return
	}
	for r := range s.db.Rows("reserved_blockstores") { // the experiment's own come in another order
		host := s.db.First("reserved", "node_id", r.Text("vnode_id"))
		if !host.Is("exptidx", r.Text("exptidx")) {
			continue
		}
		for l := range s.ofExperiment("virt_lans") {
			if !l.Is("vnode", host.Text("vname")) || !l.Is("exptidx", host.Text("exptidx")) ||
				!slices.Contains(mine, strings.ToLower(l.Text("vname"))) {
				continue
			}
			name := r.Text("vname")
			s.volume(fmt.Sprintf("%s HOSTID=%s VOLNAME=%s VOLSIZE=%d", s.step("ELEMENT"), host.Text("vname"), name,
				volumeSize(r, "size")), name, true)
		}
	}
}

// volume ends a step with what the experiment wants of the volume: one of a
// storage network or a local one. Of any other kind nothing is said.
func (s *storage) volume(step, name string, lasting bool) {
	attr := map[string]string{}
	for a := range s.where("virt_blockstore_attributes", "exptidx", s.who.exptidx, "vname", name) {
		attr[a.Text("attrkey")] = a.Text("attrvalue")
	}
	switch {
	case attr["class"] == "SAN" && attr["protocol"] == "iSCSI":
		s.linef("%s%s", step, s.iSCSI(attr, name, lasting))
	case attr["class"] == "local":
		s.linef("%s%s", step, s.localDisk(attr))
	}
}

func (s *storage) iSCSI(attr map[string]string, name string, lasting bool) string {
	perms := "RW"
	if v, ok := attr["readonly"]; ok && v != "0" {
		perms = "RO"
	}
	words := fmt.Sprintf(" CLASS=SAN PROTO=iSCSI UUID=iqn.2000-10.net.emulab:%s:%s:%s UUID_TYPE=iqn PERMS=%s",
		s.who.pid, s.who.eid, name, perms) + word("MOUNTPOINT", attr["mountpoint"])
	if lasting && testbed.Atoi(attr["lease"]) != 0 {
		words += " PERSIST=1"
	}
	return words
}

func (s *storage) localDisk(attr map[string]string) string {
	words := " CLASS=local BSID=" + cmp.Or(attr["placement"], "ANY") + word("PROTO", attr["protocol"]) + word("MOUNTPOINT", attr["mountpoint"])
	if attr["dataset"] != "" {
		words += " DATASET=" + attr["dataset"] + " SERVER=" + s.frisbeeServer()
	}
	return words
}

// word is " KEY=value", or nothing for no value.
func word(key, value string) string {
	if value == "" {
		return ""
	}
	return " " + key + "=" + value
}

// volumeSize is in MiB, as a C int holds it.
func volumeSize(r testbed.Row, column string) int32 { return int32(r.Int(column)) } //nolint:gosec // it wraps there, too
