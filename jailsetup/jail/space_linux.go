package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Disks are sparse files: they take what jails have written, and may grow to
// their size. So that a jail never meets a full disk of the host's, nor makes
// one, the sizes of all are reserved in the records, and a boot that the file
// system can't hold is refused (jail.md S31).

// spaceMargin is what disks never take: it is for records and logs.
const spaceMargin = 64 << 20

// SpaceError says that a disk can't be reserved.
type SpaceError struct {
	Dir  string // on whose file system
	Size int64  // of the disk, in bytes
	Room int64  // what is free and not reserved; below 0: more is reserved than free
}

// Error implements error.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("no room for a disk of %d MiB: of %s's file system %d MiB are free and not reserved for other jails (kill some, a smaller limits.disk_mib, or overcommit: true in the site file)",
		e.Size>>20, e.Dir, max(0, e.Room)>>20)
}

// ledger remembers the reserved sizes, so that a boot doesn't read all records.
type ledger struct {
	mu    sync.Mutex
	sizes map[string]int64 // by vnode; nil: not read yet
}

func (l *ledger) forget(vnode string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sizes, vnode)
}

// reserveDisk puts the size of the vnode's disk into its record, if there is
// room for it.
func (h *Host) reserveDisk(r *Record, w Wish) error {
	size, err := diskSize(w.Jail.VDSize, h.Site.Limits.DiskMiB)
	if err != nil {
		return nil // the plan says what is wrong
	}
	if info, err := os.Stat(h.Site.ImagePath(r.VNode)); err == nil {
		size = info.Size() // a disk from before
	}
	h.disks.mu.Lock()
	defer h.disks.mu.Unlock()
	if h.disks.sizes == nil {
		if h.disks.sizes, err = h.Site.diskSizes(); err != nil {
			return err
		}
	}
	delete(h.disks.sizes, r.VNode)
	room, err := h.Site.room(h.disks.sizes)
	if err != nil {
		return err
	}
	room -= size - h.Site.allocated(r.VNode)
	if room < 0 && !h.Site.Overcommit {
		h.disks.sizes[r.VNode] = r.DiskBytes // what a disk from before has
		return &SpaceError{Dir: h.Site.State, Size: size, Room: room + size}
	}
	r.DiskBytes, h.disks.sizes[r.VNode] = size, size
	return nil
}

// Room is how many bytes of the state directory's file system are free and not
// reserved for a disk; below 0 with overcommit.
func (s Site) Room() (int64, error) {
	sizes, err := s.diskSizes()
	if err != nil {
		return 0, err
	}
	return s.room(sizes)
}

func (s Site) room(sizes map[string]int64) (int64, error) {
	var st unix.Statfs_t
	dir := s.State
	err := unix.Statfs(dir, &st)
	if errors.Is(err, unix.ENOENT) {
		dir = "/" // no jail yet: about where it will be
		err = unix.Statfs(dir, &st)
	}
	if err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	room := int64(st.Bavail)*st.Bsize - spaceMargin
	for vnode, size := range sizes {
		room -= max(0, size-s.allocated(vnode))
	}
	return room, nil
}

// diskSizes reads what is reserved from the records.
func (s Site) diskSizes() (map[string]int64, error) {
	names, err := s.List()
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, vnode := range names {
		r, err := s.Load(vnode)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sizes[vnode] = r.DiskBytes
	}
	return sizes, nil
}

// allocated is what the vnode's disk takes by now, in bytes.
func (s Site) allocated(vnode string) int64 {
	info, err := os.Stat(s.ImagePath(vnode))
	if err != nil {
		return 0
	}
	const block = 512 // stat(2)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * block
	}
	return 0
}
