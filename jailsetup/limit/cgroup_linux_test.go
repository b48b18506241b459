package limit

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCgroupDo: each limit is written where the kernel has it, in either mode; what
// isn't in a v1 hierarchy is turned on in the v2 one. The files stand for the
// kernel's, which makes them with the directory.
func TestCgroupDo(t *testing.T) {
	const mib = 1 << 20
	all := Cgroup{VNode: "a", Processes: 512, Memory: 64 * mib, CPUShare: 200}
	v1Files := map[string][]string{
		"pids": {"pids.max"}, "cpu": {"cpu.shares"}, "memory": {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
	}
	v2Files := []string{"pids.max", "memory.max", "memory.swap.max", "cpu.weight"}
	tests := []struct {
		name string
		v1   []string // controllers there
		lack string   // a file that this kernel hasn't
		ask  Cgroup
		want map[string]string
		err  bool
	}{
		{"v2", nil, "", all, map[string]string{"pids.max": "512", "memory.max": "67108864", "memory.swap.max": "67108864", "cpu.weight": "200"}, false},
		{"v2 without swap", nil, "memory.swap.max", all, map[string]string{"memory.max": "67108864"}, false},
		{"v2 without memory", nil, "memory.max", all, nil, true},
		{"v1", []string{"pids", "cpu", "memory"}, "", all,
			map[string]string{"pids.max": "512", "memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "134217728", "cpu.shares": "2048"}, false},
		{"v1 without swap", []string{"pids", "cpu", "memory"}, "memory.memsw.limit_in_bytes", all, map[string]string{"memory.limit_in_bytes": "67108864"}, false},
		{"both", []string{"pids"}, "", all, map[string]string{"pids.max": "512", "memory.max": "67108864"}, false},
		{"no limits", nil, "", Cgroup{VNode: "a"}, map[string]string{"pids.max": "", "memory.max": "", "cpu.weight": ""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.ask
			c.Hierarchies = Hierarchies{V2: t.TempDir(), V1: map[string]string{}}
			files := map[string][]string{c.dir("", "a"): v2Files}
			for _, name := range tt.v1 {
				c.V1[name] = t.TempDir()
				files[c.dir(name, "a")] = v1Files[name]
			}
			for dir, names := range files {
				for _, name := range names {
					if name != tt.lack {
						touch(t, filepath.Join(dir, name))
					}
				}
			}
			turned := []string{filepath.Join(c.V2, "cgroup.subtree_control"), filepath.Join(c.V2, parent, "cgroup.subtree_control")}
			for _, f := range turned {
				touch(t, f)
			}
			if err := c.Do(t.Context(), nil); (err != nil) != tt.err {
				t.Fatalf("Do: %v", err)
			}
			for name, want := range tt.want {
				found := false
				for dir := range files {
					if got, err := os.ReadFile(filepath.Join(dir, name)); err == nil && string(got) == want {
						found = true
					}
				}
				if !found {
					t.Errorf("no directory has %q in its %s", want, name)
				}
			}
			for _, f := range turned {
				if got, err := os.ReadFile(f); err != nil || (len(got) > 0) != (len(tt.v1) < len(v1Files)) {
					t.Errorf("%s has %q, %v", f, got, err)
				}
			}
		})
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
