package limit

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLimitIO: the limits are written where the kernel has them; where it
// hasn't, that is said.
func TestLimitIO(t *testing.T) {
	all := IO{Device: "254:0", Weight: 200, Read: 1 << 20, Write: 2 << 20}
	tests := []struct {
		name string
		v1   bool
		io   IO
		have []string // files that the kernel makes
		want map[string]string
		err  string
	}{
		{"v2", false, all, []string{"io.weight", "io.max"}, map[string]string{"io.weight": "200", "io.max": "254:0 rbps=1048576 wbps=2097152"}, ""},
		{"v2, one way", false, IO{Device: "8:0", Write: 5}, []string{"io.max"}, map[string]string{"io.max": "8:0 rbps=max wbps=5"}, ""},
		{"v2, bfq", false, all, []string{"io.bfq.weight", "io.max"}, map[string]string{"io.bfq.weight": "200"}, ""},
		{"v1", true, all, []string{"blkio.bfq.weight", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"},
			map[string]string{"blkio.bfq.weight": "200", "blkio.throttle.read_bps_device": "254:0 1048576", "blkio.throttle.write_bps_device": "254:0 2097152"}, ""},
		{"v1 without weights", true, all, []string{"blkio.throttle.read_bps_device"}, nil, "limits.io_weight: this kernel has no blkio.bfq.weight or blkio.weight"},
		{"v2 without bounds", false, IO{Device: "8:0", Read: 1}, nil, nil, "limits.io_read_mib: this kernel has no io.max"},
		{"nothing wanted", false, IO{}, nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Cgroup{Hierarchies: Hierarchies{V2: t.TempDir(), V1: map[string]string{}}, VNode: "a", IO: tt.io}
			if tt.v1 {
				c.V1[ioController] = t.TempDir()
			}
			dir := c.dir(ioController, "a")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range tt.have {
				if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := c.limitIO()
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("limitIO = %v, want %q", err, tt.err)
			}
			for f, want := range tt.want {
				if got, err := os.ReadFile(filepath.Join(dir, f)); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v; want %q", f, got, err, want)
				}
			}
		})
	}
}

func TestDiskOf(t *testing.T) {
	if _, err := DiskOf("/proc"); err == nil || !strings.Contains(err.Error(), "on no disk") {
		t.Errorf("/proc: %v", err)
	}
	if d, err := DiskOf("/"); err == nil && !regexp.MustCompile(`^\d+:\d+$`).MatchString(d) {
		t.Errorf("/: %q", d)
	}
}
