package answer

import (
	"cmp"
	"slices"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// serviceKey is one step of the node's configuration at one occasion.
type serviceKey struct{ idx, env, whence string }

// manifest tells which steps of a node's configuration to change. The testbed's
// own settings for the node or its type come first; the experiment's replace
// them where they may.
func (c *call) manifest() {
	var m protocol.Manifest
	settings := map[serviceKey]testbed.Row{}
	virtual := map[serviceKey]bool{}
	take := func(r testbed.Row, ofExperiment bool) {
		k := serviceKey{r.Text("service_idx"), r.Text("env"), r.Text("whence")}
		if have, ok := settings[k]; ok && ofExperiment && !virtual[k] && !have.Bool("user_can_override") {
			return
		}
		settings[k], virtual[k] = r, ofExperiment
	}
	for r := range c.adminRows("client_service_ctl") {
		take(r, false)
	}
	for r := range c.experimentRows("virt_client_service_ctl") {
		take(r, true)
	}
	for k, r := range settings {
		s := c.db.First("client_services", "idx", k.idx)
		blob := r.Text("alt_blob_id")
		if virtual[k] {
			blob = c.blobID(r.Text("alt_vblob_id"))
		}
		m.Services = append(m.Services, protocol.Service{Name: s.Text("service"), Env: k.env, Whence: k.whence,
			Enabled: r.Bool("enable"), HooksEnabled: r.Bool("enable_hooks"), Fatal: r.Bool("fatal"), BlobID: blob})
	}
	slices.SortFunc(m.Services, func(a, b protocol.Service) int {
		return cmp.Or(collate(a.Name, b.Name), cmp.Compare(a.Env, b.Env), cmp.Compare(a.Whence, b.Whence))
	})
	for r := range c.adminRows("client_service_hooks") {
		m.Hooks = append(m.Hooks, c.hook(r, r.Text("hook_blob_id")))
	}
	for r := range c.experimentRows("virt_client_service_hooks") {
		m.Hooks = append(m.Hooks, c.hook(r, c.blobID(r.Text("hook_vblob_id"))))
	}
	c.reply(m)
}

func (c *call) hook(r testbed.Row, blob string) protocol.Hook {
	s := c.db.First("client_services", "idx", r.Text("service_idx"))
	return protocol.Hook{Service: s.Text("service"), Env: r.Text("env"), Whence: r.Text("whence"), Op: r.Text("hook_op"),
		Point: r.Text("hook_point"), Fatal: r.Bool("fatal"), BlobID: blob, Argv: r.Text("argv")}
}

// adminRows are the testbed's settings: for the type of the node, then for it.
func (c *call) adminRows(table string) func(func(testbed.Row) bool) {
	return func(yield func(testbed.Row) bool) {
		for _, of := range []struct{ kind, name string }{
			{"node_type", c.who.node.Text("type")}, {"node", c.who.id}, {"osid", c.who.node.Text("def_boot_osid")}} {
			for r := range c.db.Where(table, "obj_name", of.name) {
				if r.Is("obj_type", of.kind) && !yield(r) {
					return
				}
			}
		}
	}
}

// experimentRows are the experiment's settings: for all nodes, then for this.
func (c *call) experimentRows(table string) func(func(testbed.Row) bool) {
	return func(yield func(testbed.Row) bool) {
		if c.who.exptidx == "" {
			return
		}
		for _, name := range []string{"", c.who.nickname} {
			for r := range c.db.Where(table, "exptidx", c.who.exptidx) {
				if r.Text("vnode") == name && !yield(r) {
					return
				}
			}
		}
	}
}

// blobID is the UUID of the experiment's blob, or if it has none the name.
func (c *call) blobID(name string) string {
	for b := range c.db.Where("blobs", "vblob_id", name) {
		if b.Is("exptidx", c.who.exptidx) {
			return b.Text("uuid")
		}
	}
	return name
}
