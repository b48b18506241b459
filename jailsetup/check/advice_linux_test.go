package check

import (
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/rootfs"
)

// TestAdviseFiles: the table of open files is held against what one jail may
// open: by its memory, or by its processes.
func TestAdviseFiles(t *testing.T) {
	for _, row := range []struct {
		name  string
		setup Setup
		want  bool
	}{
		{"no limit", Setup{}, true},
		{"much memory", Setup{Memory: math.MaxInt64, Processes: math.MaxInt64}, true},
		{"little memory", Setup{Memory: 1 << 20}, false},
		{"one process", Setup{Memory: 1 << 20, Processes: 1}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if most, err := number("fs/file-max")(Load{}); err != nil || most == math.MaxInt64 {
				row.want = row.want && row.setup.Memory == 0 // nothing is more than that
			}
			if got := adviseFiles(row.setup); (len(got) > 0) != row.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAdviseNames: a server of the host's that jails are sent to has to be one
// that they may ask.
func TestAdviseNames(t *testing.T) {
	names := rootfs.Names{Root: t.TempDir(), Host: netip.MustParseAddr("172.16.1.0")}
	etc := filepath.Join(names.Root, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(etc, "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := adviseNames(names); len(got) != 1 || !strings.Contains(got[0].Remedy, "listen at 172.16.1.0, and list udp/53") {
		t.Errorf("%+v", got)
	}
	names.Served = true
	if got := append(adviseNames(names), adviseNames(rootfs.Names{})...); got != nil {
		t.Errorf("nothing to say: %+v", got)
	}
}

// TestAdviseCores: only a socket gets around the limit that jails have.
func TestAdviseCores(t *testing.T) {
	pattern := filepath.Join(t.TempDir(), "core_pattern")
	for text, want := range map[string]int{"@/run/dumps\n": 1, "@@/run/dumps\n": 1, "|/usr/bin/catch %P\n": 0, "core\n": 0, "/var/crash/%e\n": 0, "": 0} {
		if err := os.WriteFile(pattern, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := adviseCores(pattern); len(got) != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// TestAdviseMasks: without a template there is nothing to say.
func TestAdviseMasks(t *testing.T) {
	dir := t.TempDir()
	if got := adviseMasks(dir); got != nil {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.masks"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := adviseMasks(dir); len(got) != 1 || !strings.Contains(got[0].Found, "a.masks") {
		t.Errorf("%+v", got)
	}
}
