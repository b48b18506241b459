package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/testbed"
)

func service(idx int, name string, only int) row {
	return row{"client_services", testbed.Columns{"idx": int64(idx), "service": name, "env": "boot", "whence": "every", "hooks_only": int64(only)}}
}

// admin is the testbed's setting of service 1; enable tells it from others.
func admin(kind, name, enable string, override int) row {
	return row{"client_service_ctl", testbed.Columns{"obj_type": kind, "obj_name": name, "service_idx": int64(1), "env": "boot",
		"whence": "every", "alt_blob_id": kind, "enable": enable, "enable_hooks": int64(1), "fatal": int64(0), "user_can_override": int64(override)}}
}

// mine is the experiment's setting of service 1.
func mine(vnode string) row {
	return row{"virt_client_service_ctl", testbed.Columns{"exptidx": int64(5), "vnode": vnode, "service_idx": int64(1), "env": "boot",
		"whence": "every", "alt_vblob_id": "vb" + vnode, "enable": int64(0), "enable_hooks": int64(0), "fatal": int64(0)}}
}

func blobRow(expt int, name string) row {
	return row{"blobs", testbed.Columns{"uuid": "uuid-" + name, "vblob_id": name, "exptidx": int64(expt)}}
}

// TestManifestSettings: which of several settings of a service counts.
func TestManifestSettings(t *testing.T) {
	line := func(enabled, hooks, blob string) string {
		return "SERVICE NAME=rc.x ENV=boot WHENCE=every ENABLED=" + enabled + " HOOKS_ENABLED=" + hooks + " FATAL=0 BLOBID=" + blob + "\n"
	}
	kind, osid, node := admin("node_type", "pc", "1", 1), admin("osid", "7", "2", 1), admin("node", "pc1", "3", 1)
	x := service(1, "rc.x", 0)
	for _, tc := range []struct {
		name string
		rows []row
		want string
	}{
		{"type", []row{x, kind}, line("1", "1", "node_type")},
		{"what boots before type", []row{x, kind, osid}, line("2", "1", "osid")},
		{"node before both", []row{x, kind, node, osid}, line("3", "1", "node")},
		{"all nodes before the testbed", []row{x, kind, mine("")}, line("0", "0", "")},
		{"with a blob", []row{x, mine(""), blobRow(5, "vb")}, line("0", "0", "uuid-vb")},
		{"another experiment's blob", []row{x, mine(""), blobRow(6, "vb")}, line("0", "0", "")},
		{"one node before all", []row{x, mine(""), mine("host"), blobRow(5, "vb")}, line("0", "0", "vbhost")},
		{"another node", []row{x, mine("a")}, ""},
		{"the testbed says no", []row{x, admin("node_type", "pc", "1", 0), mine("host")}, line("1", "1", "node_type")},
		{"a nearer one says yes", []row{x, admin("node_type", "pc", "1", 0), osid, mine("host")}, line("0", "0", "vbhost")},
		{"hooks only", []row{service(1, "rc.x", 1), mine("host")}, ""},
		{"hooks only, the testbed's", []row{service(1, "rc.x", 1), kind, mine("host")}, line("1", "1", "node_type")},
		{"no such service", []row{kind, mine("host")}, ""},
		{"another occasion", []row{{"client_services", testbed.Columns{"idx": int64(1), "service": "rc.x", "env": "load", "whence": "every"}}, kind}, ""},
		{"another type", []row{x, admin("node_type", "pcvm", "1", 1)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) { says(t, pairBed(t, tc.rows...), "VERSION=40 manifest ", tc.want) })
	}
	tainted := alter(pairBed(t, x, kind), "nodes", "node_id", "pc1", testbed.Columns{"taint_states": "useronly"})
	says(t, tainted, "VERSION=40 manifest ", "")
	alter(tainted, "nodes", "node_id", "pc1", testbed.Columns{"taint_states": "dangerous"})
	says(t, tainted, "VERSION=40 manifest ", line("1", "1", "node_type"))
}

// TestManifestHooks: hooks of all kinds, for services that exist, with the UUID
// of the blob or its name; those whose blob is known come before the others.
func TestManifestHooks(t *testing.T) {
	hook := func(columns testbed.Columns) testbed.Columns {
		for k, v := range (testbed.Columns{"service_idx": int64(1), "env": "boot", "whence": "every", "hook_op": "boot", "hook_point": "pre",
			"argv": "", "fatal": int64(0)}) {
			if _, there := columns[k]; !there {
				columns[k] = v
			}
		}
		return columns
	}
	testbeds := func(kind, name, blob string, idx int) row {
		return row{"client_service_hooks", hook(testbed.Columns{"obj_type": kind, "obj_name": name, "hook_blob_id": blob, "service_idx": int64(idx)})}
	}
	experiments := func(vnode string, blob any) row {
		return row{"virt_client_service_hooks", hook(testbed.Columns{"exptidx": int64(5), "vnode": vnode, "hook_vblob_id": blob})}
	}
	line := func(service, blob string) string {
		return "HOOK SERVICE=" + service + " ENV=boot WHENCE=every OP=boot POINT=pre FATAL=0 BLOBID=" + blob + " ARGV=\"\"\n"
	}
	tb := pairBed(t, service(1, "rc.x", 0), service(2, "rc.a", 0),
		testbeds("node", "pc1", "h1", 1), testbeds("node_type", "pc", "h2", 2), testbeds("osid", "7", "h3", 1), testbeds("osid", "8", "h4", 1),
		testbeds("node", "pc1", "h5", 3), experiments("host", "h6"), experiments("", "vb"), experiments("a", "h8"), experiments("", nil),
		blobRow(5, "vb"))
	says(t, tb, "VERSION=40 manifest ", line("rc.x", "h1")+line("rc.a", "h2")+line("rc.x", "h3")+line("rc.x", "uuid-vb")+line("rc.x", "h6"))
}

// TestManifestHooksAsTheyStand: hooks of osids are all looked at, and if that
// makes too many they come as they were inserted.
func TestManifestHooksAsTheyStand(t *testing.T) {
	hook := func(kind, name, blob string) row {
		return row{"client_service_hooks", testbed.Columns{"obj_type": kind, "obj_name": name, "service_idx": int64(1), "env": "boot", "whence": "every",
			"hook_blob_id": blob, "hook_op": "boot", "hook_point": "pre", "argv": "", "fatal": int64(0)}}
	}
	rows := []row{service(1, "rc.x", 0), hook("osid", "7", "h2"), hook("node", "pc1", "h1"), hook("osid", "8", "h0"), hook("osid", "9", "h0")}
	line := func(blob string) string {
		return "HOOK SERVICE=rc.x ENV=boot WHENCE=every OP=boot POINT=pre FATAL=0 BLOBID=" + blob + " ARGV=\"\"\n"
	}
	says(t, pairBed(t, rows...), "VERSION=40 manifest ", line("h2")+line("h1"))
	says(t, pairBed(t, rows[:4]...), "VERSION=40 manifest ", line("h1")+line("h2"))
}

// TestManifestOrder: services stand as their rows do, but those come first for
// which the experiment has a blob, and before them those of this node.
func TestManifestOrder(t *testing.T) {
	var rows []row
	setting := func(vnode string, idx int, blob string) row {
		return row{"virt_client_service_ctl", testbed.Columns{"exptidx": int64(5), "vnode": vnode, "service_idx": int64(idx), "env": "boot",
			"whence": "every", "alt_vblob_id": blob, "enable": int64(1), "enable_hooks": int64(1), "fatal": int64(1)}}
	}
	for i, name := range []string{"rc.z", "rc.b", "rc.a", "rc.y", "rc.x"} {
		rows = append(rows, service(i, name, 0), row{"client_service_ctl", testbed.Columns{"obj_type": "node", "obj_name": "pc1",
			"service_idx": int64(i), "env": "boot", "whence": "every", "enable": int64(1), "enable_hooks": int64(1), "fatal": int64(1),
			"user_can_override": int64(0)}})
	}
	order := func(names ...string) string {
		var want strings.Builder
		for _, n := range names {
			want.WriteString("SERVICE NAME=rc." + n + " ENV=boot WHENCE=every ENABLED=1 HOOKS_ENABLED=1 FATAL=1 BLOBID=\n")
		}
		return want.String()
	}
	says(t, pairBed(t, rows...), "VERSION=40 manifest ", order("z", "b", "a", "y", "x"))
	rows = append(rows, setting("", 2, "v1"), setting("", 4, "v2"), setting("", 3, "none"), setting("host", 3, "v1"), setting("a", 1, "v2"),
		blobRow(6, "none"), blobRow(5, "v2"), blobRow(5, "v1"), blobRow(5, ""))
	says(t, pairBed(t, rows...), "VERSION=40 manifest ", order("y", "x", "a", "z", "b"))
}
