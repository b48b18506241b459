package rootfs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestKeeper: a template that was looked at a moment ago is believed, unless its
// image is gone.
func TestKeeper(t *testing.T) {
	image := filepath.Join(t.TempDir(), "a.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Its host is no directory: to look there is an error.
	bad := Template{Dir: t.TempDir(), Host: "/dev/null", Size: 1 << 20}
	want := Made{Image: image, Masks: []string{"lib/secret"}}
	k := Keeper{made: map[Template]kept{bad: {want, time.Now().Add(time.Minute)}}}
	if got, err := k.Ensure(t.Context(), bad); err != nil || got.Image != image || !slices.Equal(got.Masks, want.Masks) {
		t.Errorf("a moment ago: %+v, %v", got, err)
	}
	k.made[bad] = kept{want, time.Now().Add(-time.Second)}
	if _, err := k.Ensure(t.Context(), bad); err == nil {
		t.Error("a while ago: it is believed")
	}
	k.made[bad] = kept{want, time.Now().Add(time.Minute)}
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Ensure(t.Context(), bad); err == nil {
		t.Error("image is gone: it is believed")
	}
}
