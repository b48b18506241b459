//go:build linux && privileged

package limit

import (
	"os"
	"testing"
)

// TestHasten: this process stays where it is, and moves are what it asks for.
func TestHasten(t *testing.T) {
	h, err := Discover()
	if err != nil {
		t.Fatal(err)
	}
	where := func() string {
		t.Helper()
		data, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before := where()
	if err := h.stay(); err != nil {
		t.Errorf("stay: %v", err)
	}
	h.V1 = map[string]string{"pids": "/nowhere"}
	h.Hasten(t.Context())()
	if after := where(); after != before {
		t.Errorf("was in\n%s\nis in\n%s", before, after)
	}
	h.V2 = t.TempDir()
	h.Hasten(t.Context())() // it can't: it ends
}
