package limit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestUsage: counters are found in v2 and in v1.
func TestUsage(t *testing.T) {
	put := func(text string, path ...string) {
		t.Helper()
		p := filepath.Join(path...)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const cpu = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"
	v2, mixed := t.TempDir(), t.TempDir()
	put(cpu, v2, parent, "a", "cpu.stat")
	put("4096\n", v2, parent, "a", "memory.current")
	put("7\n", v2, parent, "a", "pids.current")
	put(cpu, mixed, "unified", parent, "a", "cpu.stat")
	put("4096\n", mixed, "memory", parent, "a", "memory.usage_in_bytes")
	put("7\n", mixed, "pids", parent, "a", "pids.current")
	put("usage 1\n", v2, parent, "bad", "cpu.stat")
	want := Usage{CPU: 1500 * time.Millisecond, Memory: 4096, Threads: 7}
	for name, h := range map[string]Hierarchies{
		"v2":        {V2: v2},
		"v1 and v2": {V2: filepath.Join(mixed, "unified"), V1: map[string]string{"memory": filepath.Join(mixed, "memory"), "pids": filepath.Join(mixed, "pids")}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := h.Usage("a"); err != nil || got != want {
				t.Errorf("Usage = %+v, %v", got, err)
			}
			if _, err := h.Usage("b"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("of no jail: %v", err)
			}
		})
	}
	if _, err := (Hierarchies{V2: v2}).Usage("bad"); err == nil {
		t.Error("no usage_usec is no error")
	}
}
