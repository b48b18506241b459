package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emujail/jailsetup/plan"
	"emujail/jailsetup/removal"
	"emujail/jailsetup/wholefile"
)

// A jail's directory, and what all jails share, is removed by package removal
// only: what somebody has mounted there, or a disk that somebody uses, keeps it as
// it is, with its record, until the verb is said again (jail.md §4.5, S21).

// Unused wants that nobody on the host uses the vnodes' files; else the error is
// a [*removal.UseError].
func (h *Host) Unused(vnodes ...string) error {
	var dirs, disks []string
	for _, vnode := range vnodes {
		dirs, disks = append(dirs, h.Site.Dir(vnode)), append(disks, h.Site.ImagePath(vnode))
	}
	if err := removal.Unmounted(dirs...); err != nil {
		return err
	}
	return removal.Unused(disks...)
}

// destroy removes the disk, and the record last: until then a crash is
// recovered from.
func (h *Host) destroy(ctx context.Context, vnode string) error {
	// The disk's own undo looks who has it, before anything else goes.
	if err := removal.Unmounted(h.Site.Dir(vnode)); err != nil {
		return fmt.Errorf("destroy %s: %w", vnode, err)
	}
	log, err := plan.OpenLog(h.Site.diskLog(vnode))
	if err != nil {
		return err
	}
	if err := log.Unwind(ctx, h.deeds()); err != nil {
		return fmt.Errorf("destroy %s: %w", vnode, err)
	}
	h.disks.forget(vnode)
	return h.Site.removeDir(vnode)
}

// removeDir removes the vnode's directory. With a record in it, it is a jail's
// with all that it holds. Else a boot or a kill was cut off, or it never was a
// jail's: what is known by name goes, and the directory if that was all.
func (s Site) removeDir(vnode string) error {
	dir := s.Dir(vnode)
	_, err := os.Lstat(filepath.Join(dir, recordName))
	if err == nil {
		return removal.Tree(dir, recordName)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	trace := filepath.Base(s.TracePath(vnode))
	for _, name := range [...]string{trace + wholefile.Suffix, trace, policyName, recordName + wholefile.Suffix, ""} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// shared are the directories of what all jails share.
func (s Site) shared() []string { return []string{s.Templates(), s.ProgramsDir(), s.EventsDir()} }

// Removable wants that all jails, and what they share, can be removed: that
// nobody on the host uses it. It is asked before the first is.
func (h *Host) Removable() error {
	names, err := h.Site.List()
	if err != nil {
		return err
	}
	if err := removal.Unmounted(h.Site.shared()...); err != nil {
		return err
	}
	return h.Unused(names...)
}

// RemoveShared removes what all jails shared, once none is left. What is not
// known by name stays, and so does what people have left in local stores.
func (s Site) RemoveShared() error {
	names, err := s.List()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return fmt.Errorf("jails are left: %v", names)
	}
	if err := removal.Unmounted(s.shared()...); err != nil {
		return err // before the first of them goes
	}
	var errs []error
	for _, dir := range s.shared() {
		errs = append(errs, removal.Tree(dir))
	}
	return errors.Join(append(errs, s.removeEmptyStores())...)
}
