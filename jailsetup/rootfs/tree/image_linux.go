package tree

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loopTries bounds the race for a free loop device: another starter may be
// faster each time.
const loopTries = 64

// attachLoop binds the image to a free loop device that detaches itself when
// its last user closes it, and returns the device.
func attachLoop(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range loopTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		dev, err := configureLoop(n, backing)
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		return dev, err
	}
	return nil, fmt.Errorf("attach %s: no loop device stayed free in %d tries", image, loopTries)
}

func configureLoop(n int, backing *os.File) (*os.File, error) {
	dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], backing.Name())
	if err := unix.IoctlLoopConfigure(int(dev.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("configure %s: %w", dev.Name(), err), dev.Close())
	}
	return dev, nil
}

// Image is a jail's disk that is being mounted, see [Open].
type Image struct {
	done chan struct{}
	m    mounted
	err  error
}

// Open begins to mount a jail's image, on a thread of its own, and returns at
// once: what waits for the disk needs no process of the jail. The mount is
// nowhere in the tree before [Layout.Build] attaches it; whoever doesn't get
// there closes it by ending.
func Open(image string) *Image {
	i := &Image{done: make(chan struct{})}
	go func() {
		defer close(i.done)
		i.m, i.err = mountImage(image)
	}()
	return i
}

// idmapped waits for the mount, makes the directories that shares need on it and
// gives it the jail's ids: from then on the host's root can make none there. Nobody
// else sees the mount yet.
func (i *Image) idmapped(userns *os.File, shares []Share) (mounted, error) {
	<-i.done
	if i.err != nil {
		return mounted{}, i.err
	}
	if err := i.prepare(userns, shares); err != nil {
		i.m.close()
		return mounted{}, err
	}
	return i.m, nil
}

func (i *Image) prepare(userns *os.File, shares []Share) error {
	for _, s := range shares {
		if !s.OnDisk {
			continue
		}
		if err := makeBelow(i.m, s.Target); err != nil {
			return err
		}
	}
	return i.m.set(0, userns)
}

// mountImage mounts the jail's image, detached. The file system is not trusted:
// nodev, and errors make it read-only, never panic the host.
func mountImage(image string) (mounted, error) {
	dev, err := attachLoop(image)
	if err != nil {
		return mounted{}, err
	}
	defer dev.Close() // from here on the mount alone holds the device
	m, err := newFS("ext4", []option{{"source", dev.Name()}, {"errors", "remount-ro"}}, nil, unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return mounted{}, fmt.Errorf("image %s: %w", image, err)
	}
	m.name = image
	return m, nil
}
