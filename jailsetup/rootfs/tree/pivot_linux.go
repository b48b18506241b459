package tree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// pivot makes root the root of the thread's mount namespace and lets go of the
// old one. Every process whose root and working directory were the old root's,
// in this mount namespace, is moved along by the kernel: that is how stage 0
// gets here.
func pivot(root mounted) error {
	if err := unix.Fchdir(root.fd); err != nil {
		return fmt.Errorf("change to the jail's root: %w", err)
	}
	// The old root goes on top of the new one, so no directory for it is
	// needed in a tree that the jail controls.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the host's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("change to the new root: %w", err)
	}
	return nil
}
