package jail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/rootfs/tree"
	"emujail/protocol"
)

// TestStoreOf: where a vnode's local store lies, and who has none.
func TestStoreOf(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	demo := protocol.Status{PID: "jails", EID: "demo"}
	for _, row := range []struct {
		name         string
		site         Site
		is           protocol.Status
		source, note string
	}{
		{"below the state directory", Site{State: dir}, demo, dir + "/.local/jails", ""},
		{"on a remote host", Site{State: dir, NetSite: NetSite{Remote: true}}, demo, dir + "/.local/jails", ""},
		{"elsewhere", Site{State: dir, Local: "/srv/local"}, demo, "/srv/local/jails", ""},
		{"the operator's link", Site{State: link}, demo, dir + "/.local/jails", ""},
		{"none", Site{State: dir, Local: "none"}, demo, "", ""},
		{"the name of the logs", Site{State: dir}, protocol.Status{PID: "logs", EID: "demo"}, "", `project "logs"`},
		{"a way out", Site{State: dir}, protocol.Status{PID: "..", EID: "demo"}, "", `project ".."`},
		{"a path", Site{State: dir}, protocol.Status{PID: "jails/x", EID: "demo"}, "", `project "jails/x"`},
		{"an experiment that is a path", Site{State: dir}, protocol.Status{PID: "jails", EID: "../demo"}, "", `experiment "../demo"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, note := row.site.storeOf("pcvm1-1", row.is)
			if !strings.Contains(note, row.note) || (note == "") != (row.note == "") {
				t.Errorf("note %q, want %q", note, row.note)
			}
			if s == nil {
				if row.source != "" {
					t.Error("no store")
				}
				return
			}
			if got, want := s.share(), (tree.Share{Source: row.source, Target: "local/jails", OnDisk: true}); got != want {
				t.Errorf("shared as %+v, want %+v", got, want)
			}
		})
	}
}
