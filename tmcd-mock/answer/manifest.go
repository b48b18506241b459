package answer

import (
	"cmp"
	"slices"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// manifest tells which steps of a node's configuration to switch off, replace
// or surround (docs/spec/protocol.md §6). A node that its users may not be root
// on has none: a blob could be anything.
func (c *call) manifest() {
	if c.who.tainted("blackbox", "useronly") || !c.who.reserved.Is("exptidx", c.who.exptidx) {
		return
	}
	for _, s := range c.services() {
		if set, blob := c.setting(s); !set.IsZero() {
			c.linef("SERVICE NAME=%s ENV=%s WHENCE=%s ENABLED=%s HOOKS_ENABLED=%s FATAL=%s BLOBID=%s", s.Text("service"),
				s.Text("env"), s.Text("whence"), set.Text("enable"), set.Text("enable_hooks"), set.Text("fatal"), blob)
		}
	}
	for _, h := range c.testbedHooks() {
		if c.concerns(h) {
			c.hook(h, h.Text("hook_blob_id"))
		}
	}
	for _, h := range c.experimentHooks() {
		blob := h.Text("hook_vblob_id")
		if uuid, ok := c.blob(blob); ok {
			blob = uuid
		}
		c.hook(h, blob)
	}
}

// services are all of them, in the order in which they stand once the
// experiment's settings are joined with its blobs: first for all nodes, then
// for this one.
func (c *call) services() []testbed.Row {
	list := slices.Collect(c.db.Rows("client_services"))
	for _, ours := range []func(testbed.Row) bool{func(r testbed.Row) bool { return r.Is("vnode", "") }, c.forVNode} {
		c.blobsFirst(list, func(s testbed.Row) any {
			for r := range c.db.Where("virt_client_service_ctl", "exptidx", c.who.exptidx) {
				if ours(r) && ofService(r, s) {
					return r.Value("alt_vblob_id")
				}
			}
			return nil
		})
	}
	return list
}

// testbedHooks are the testbed's, by their key if the database walks that, else
// as they were inserted. It looks at three ranges of it: the node's, its type's,
// and all osids, for those it compares as numbers.
func (c *call) testbedHooks() []testbed.Row {
	hooks := slices.Collect(c.db.Rows("client_service_hooks"))
	node, kind, osid := 0, 0, 0
	for _, h := range hooks {
		switch {
		case h.Is("obj_type", "osid"):
			osid++
		case h.Is("obj_type", "node") && c.concerns(h):
			node++
		case c.concerns(h):
			kind++
		}
	}
	found := max(node, 1) + max(kind, 1) + max(osid, 1)
	if testbed.WalksRanges(min(found, len(hooks)), len(hooks)) {
		slices.SortStableFunc(hooks, byKey("obj_type", "obj_name", "service_idx", "env", "whence", "hook_blob_id", "hook_op"))
	}
	return hooks
}

// experimentHooks are the experiment's, by their key, but those with a blob
// that is known come first.
func (c *call) experimentHooks() []testbed.Row {
	var hooks []testbed.Row
	for h := range c.db.Where("virt_client_service_hooks", "exptidx", c.who.exptidx) {
		if (h.Is("vnode", "") || c.forVNode(h)) && h.Value("hook_vblob_id") != nil {
			hooks = append(hooks, h)
		}
	}
	slices.SortStableFunc(hooks, byKey("vnode", "service_idx", "env", "whence", "hook_vblob_id"))
	c.blobsFirst(hooks, func(h testbed.Row) any { return h.Value("hook_vblob_id") })
	return hooks
}

// blobsFirst brings rows to the front whose blob is the experiment's, in the
// order of the blobs: the database joins them from its buffer, a blob at a
// time, and those without one last.
func (c *call) blobsFirst(list []testbed.Row, name func(testbed.Row) any) {
	place := map[string]int{}
	for b := range c.db.Rows("blobs") {
		key := strings.ToUpper(b.Text("vblob_id"))
		if _, there := place[key]; !there && b.Is("exptidx", c.who.exptidx) {
			place[key] = len(place)
		}
	}
	rank := func(r testbed.Row) int {
		if n, ok := name(r).(string); ok {
			if p, ok := place[strings.ToUpper(n)]; ok {
				return p
			}
		}
		return len(place)
	}
	slices.SortStableFunc(list, func(a, b testbed.Row) int { return cmp.Compare(rank(a), rank(b)) })
}

// byKey compares rows by these columns; those of an enumeration by its order.
func byKey(columns ...string) func(a, b testbed.Row) int {
	// The words of all those columns, of each in the order of its own.
	words := []string{"node_type", "node", "osid", "load", "boot", "first", "every", "shutdown", "reconfig", "reset"}
	return func(a, b testbed.Row) int {
		for _, col := range columns {
			var order int
			switch col {
			case "service_idx":
				order = cmp.Compare(a.Int(col), b.Int(col))
			case "obj_type", "env", "whence", "hook_op":
				order = cmp.Compare(slices.Index(words, a.Text(col)), slices.Index(words, b.Text(col)))
			default:
				order = collate(a.Text(col), b.Text(col))
			}
			if order != 0 {
				return order
			}
		}
		return 0
	}
}

// setting is the row that decides on a service, and the blob that it names;
// the zero Row if none does. The experiment's own goes before the testbed's,
// unless that says no or the service is there for its hooks only.
func (c *call) setting(service testbed.Row) (testbed.Row, string) {
	admin := c.adminSetting(service)
	only := service.Is("hooks_only", "1")
	if only || !admin.IsZero() && admin.Is("user_can_override", "0") {
		return admin, admin.Text("alt_blob_id")
	}
	if set, blob := c.experimentSetting(service); !set.IsZero() {
		return set, blob
	}
	return admin, admin.Text("alt_blob_id")
}

// adminSetting is the testbed's row: for the node, else for what it boots, else
// for its type.
func (c *call) adminSetting(service testbed.Row) testbed.Row {
	for _, column := range []struct{ kind, name string }{{"node", "node_id"}, {"osid", "def_boot_osid"}, {"node_type", "type"}} {
		for r := range c.where("client_service_ctl", "obj_name", c.who.node.Text(column.name), "obj_type", column.kind) {
			if c.concerns(r) && ofService(r, service) {
				return r
			}
		}
	}
	return testbed.Row{}
}

// concerns reports whether a row of the testbed's is for the asker.
func (c *call) concerns(r testbed.Row) bool {
	switch {
	case r.Is("obj_type", "node"):
		return c.who.node.Is("node_id", r.Text("obj_name"))
	case r.Is("obj_type", "osid"):
		return c.who.node.Is("def_boot_osid", r.Text("obj_name"))
	case r.Is("obj_type", "node_type"):
		return c.who.node.Is("type", r.Text("obj_name"))
	}
	return false
}

// experimentSetting is the experiment's own row: for the node, else for all its
// nodes. A blob that isn't known by its name stands for itself in the first
// case, and is left out in the second.
func (c *call) experimentSetting(service testbed.Row) (testbed.Row, string) {
	var all testbed.Row
	for r := range c.db.Where("virt_client_service_ctl", "exptidx", c.who.exptidx) {
		switch {
		case !ofService(r, service):
		case c.forVNode(r):
			if uuid, ok := c.blob(r.Text("alt_vblob_id")); ok {
				return r, uuid
			}
			return r, r.Text("alt_vblob_id")
		case r.Is("vnode", ""):
			all = r
		}
	}
	uuid, _ := c.blob(all.Text("alt_vblob_id"))
	return all, uuid
}

// forVNode reports whether a row of the experiment's names the asker.
func (c *call) forVNode(r testbed.Row) bool {
	name := c.who.reserved.Value("vname")
	return name != nil && r.Is("vnode", c.who.nickname)
}

// hook is a line for each service that the hook belongs to.
func (c *call) hook(h testbed.Row, blob string) {
	for s := range c.db.Where("client_services", "idx", h.Text("service_idx")) {
		if sameOccasion(h, s) {
			c.linef(`HOOK SERVICE=%s ENV=%s WHENCE=%s OP=%s POINT=%s FATAL=%s BLOBID=%s ARGV="%s"`, s.Text("service"), s.Text("env"),
				s.Text("whence"), h.Text("hook_op"), h.Text("hook_point"), h.Text("fatal"), blob, h.Text("argv"))
		}
	}
}

// ofService reports whether a row is for this service at its occasion.
func ofService(r, service testbed.Row) bool {
	return r.Is("service_idx", service.Text("idx")) && sameOccasion(r, service)
}

func sameOccasion(r, service testbed.Row) bool {
	return r.Is("env", service.Text("env")) && r.Is("whence", service.Text("whence"))
}

// blob is the UUID of the experiment's blob with this name.
func (c *call) blob(name string) (string, bool) {
	for b := range c.db.Where("blobs", "vblob_id", name) {
		if b.Is("exptidx", c.who.exptidx) {
			return b.Text("uuid"), true
		}
	}
	return "", false
}
