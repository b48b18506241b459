//go:build linux

package rootfs

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestWriteListAtOnce: of many who make the same template, all succeed.
func TestWriteListAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "template.masks")
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 8 {
				if err := writeList(path, []string{"bin/secret"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v; want the list alone", left, err)
	}
}
