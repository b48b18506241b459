package removal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// letGoTimeout is how long a jail's own mount may take to let its disk go: a
// thousandth of a second, and as long as it takes to write what the jail has
// written last.
const letGoTimeout = 30 * time.Second

// Disk removes a jail's disk, an image that was mounted through a loop device. The
// jail must have ended; until the kernel has let the disk go it waits. One that
// somebody else uses stays, with a [*UseError]. That it isn't there is success.
func Disk(ctx context.Context, image string) error {
	if err := Unmounted(image); err != nil {
		return err
	}
	if err := awaitLetGo(ctx, image); err != nil {
		return err
	}
	if err := os.Remove(image); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return surprise("remove", image, err)
	}
	return nil
}

// Unused wants that of those who use the disks of jails, running or not, each is a
// jail; else the error is a [*UseError]. A jail's loop device lets its disk go by
// itself, and is mounted where nobody outside sees it.
func Unused(images ...string) error {
	all, err := attachedTo(images)
	if err != nil {
		return err
	}
	return foreign(all)
}

// awaitLetGo waits until no loop device has the image.
func awaitLetGo(ctx context.Context, image string) error {
	ctx, cancel := context.WithTimeout(ctx, letGoTimeout)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		all, err := attachedTo([]string{image})
		if err != nil || len(all) == 0 {
			return err
		}
		if err := foreign(all); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return keptElsewhere(all)
		case <-time.After(pause):
		}
	}
}

// foreign says which of the loop devices is no jail's.
func foreign(all []loop) error {
	if len(all) == 0 {
		return nil
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return fmt.Errorf("look what is mounted: %w", err)
	}
	for _, l := range all {
		if m := l.mountIn(mounts); m != nil {
			return l.kept(fmt.Sprintf("it is mounted at %s by %s", m.Mountpoint, l.device()), "umount "+m.Mountpoint)
		}
		if !l.letsGo {
			return l.kept("it is attached to "+l.device(), "losetup -d "+l.device())
		}
	}
	return nil
}

// loop is a loop device that has an image.
type loop struct {
	image  string
	name   string // loop7
	number string // MAJOR:MINOR
	letsGo bool   // by itself, when its last user has gone
}

func (l loop) device() string { return "/dev/" + l.name }

func (l loop) kept(use, remedy string) error {
	return &UseError{Path: l.image, Use: use, Remedy: remedy}
}

// mountIn is the mount of the device among mounts, nil if there is none.
func (l loop) mountIn(mounts []*mountinfo.Info) *mountinfo.Info {
	for _, m := range mounts {
		if fmt.Sprintf("%d:%d", m.Major, m.Minor) == l.number {
			return m
		}
	}
	return nil
}

// keptElsewhere says who on the host has one of the devices that aren't let go, as
// far as a look at every process tells. Nobody is no error: then a process has a
// file of the disk open, which one jail can hand to another, and the disk goes with
// the last of them. No jail can keep another's disk.
func keptElsewhere(all []loop) error {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, proc := range procs {
		for _, l := range all {
			if err := l.keptBy(proc); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptBy is the use that the process of that directory in /proc makes of the device;
// nil: none. One that ends meanwhile makes none.
func (l loop) keptBy(proc string) error {
	pid := filepath.Base(proc)
	if f, err := os.Open(proc + "/mountinfo"); err == nil {
		mounts, err := mountinfo.GetMountsFromReader(f, nil)
		f.Close()
		if m := l.mountIn(mounts); err == nil && m != nil {
			return l.kept(fmt.Sprintf("process %s has it mounted at %s of its mount namespace by %s", pid, m.Mountpoint, l.device()),
				fmt.Sprintf("nsenter -t %s -m umount %s", pid, m.Mountpoint))
		}
	}
	files, err := filepath.Glob(proc + "/fd/*")
	if err != nil {
		return err
	}
	for _, file := range files {
		// Only what is called so is looked at: a look at another's file may hang.
		if name, err := os.Readlink(file); err != nil || name != l.device() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK {
			return l.kept("process "+pid+" has it open by "+l.device(), "fuser "+l.device()+" tells who")
		}
	}
	return nil
}

// attachedTo are the loop devices that have one of the images, by device and
// inode: a path may be another's, or the image's no more.
func attachedTo(images []string) (all []loop, err error) {
	of := map[identity]string{}
	for _, image := range images {
		var st unix.Stat_t
		if err := unix.Lstat(image, &st); err == nil {
			of[identity{st.Dev, st.Ino}] = image
		} else if !errors.Is(err, unix.ENOENT) {
			return nil, &fs.PathError{Op: "lstat", Path: image, Err: err}
		}
	}
	if len(of) == 0 {
		return nil, nil
	}
	devices, err := os.ReadDir(sysBlock)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if !strings.HasPrefix(d.Name(), "loop") {
			continue
		}
		id, l, err := look(d.Name())
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
			continue // it has nothing, or has let it go meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look what %s has: %w", d.Name(), err)
		}
		if l.image = of[id]; l.image != "" {
			all = append(all, l)
		}
	}
	return all, nil
}

type identity struct{ device, inode uint64 }

const sysBlock = "/sys/block"

// look reads what the loop device has; fs.ErrNotExist: nothing. A host has
// hundreds, most of them idle: those aren't opened.
func look(name string) (id identity, l loop, err error) {
	l.name = name
	dir := filepath.Join(sysBlock, name)
	if err := unix.Access(filepath.Join(dir, "loop/backing_file"), unix.F_OK); err != nil {
		return id, l, err
	}
	number, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		return id, l, err
	}
	l.number = strings.TrimSpace(string(number))
	dev, err := os.Open(l.device())
	if err != nil {
		return id, l, err
	}
	defer dev.Close()
	info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
	if err != nil {
		return id, l, err
	}
	l.letsGo = info.Flags&unix.LO_FLAGS_AUTOCLEAR != 0
	return identity{info.Device, info.Inode}, l, nil
}
