package tree

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Layout is a jail's file system as data: what [Layout.Build] mounts. Its JSON
// form is how the supervisor tells jailspawn.
type Layout struct {
	Image       string   `json:"image"`        // the jail's ext4 image, on the host
	Mountpoint  string   `json:"mountpoint"`   // an empty directory of the host's, the root's place until pivot_root
	Given       string   `json:"given"`        // host directory shown at /run/emulab
	Programs    string   `json:"programs"`     // host directory shown at /run/emulab/bin
	Usr         string   `json:"usr"`          // host directory shown at /usr
	UsrMasks    []string `json:"usr_masks"`    // paths below /usr that others can't read
	IDBase      int      `json:"id_base"`      // the host's id for the jail's root
	MaxPTYs     int      `json:"max_ptys"`     // pseudo-terminals at once
	Shares      []Share  `json:"shares"`       // host directories that people of the jail may write
	WritableNet bool     `json:"writable_net"` // the jail may change /proc/sys/net: ROUTING=1 and an own address
}

// Lines says what will be mounted, one line each, for `-n`.
func (l Layout) Lines() []string {
	lines := []string{
		fmt.Sprintf("mount %s on / (ext4, idmapped to %d, nodev)", l.Image, l.IDBase),
		fmt.Sprintf("mount the host's %s on /usr (read-only, idmapped), /usr/local of the image on top", l.Usr),
	}
	for _, m := range l.UsrMasks {
		lines = append(lines, "mask /usr/"+m)
	}
	for _, s := range l.Shares {
		lines = append(lines, fmt.Sprintf("mount %s on /%s (idmapped from id %d, nosuid, nodev)", s.Source, s.Target, firstPersonID))
	}
	return append(lines,
		fmt.Sprintf("mount a tmpfs on /dev (%d nodes), devpts (%d terminals), /dev/shm", len(devNodes), l.MaxPTYs),
		fmt.Sprintf("mount the jail's proc on /proc (masked, /proc/sys/net writable: %t), its sysfs on /sys", l.WritableNet),
		fmt.Sprintf("mount a tmpfs on /run, %s on /run/emulab, %s on /run/emulab/bin (read-only, nosuid)", l.Given, l.Programs),
	)
}

// Namespaces are the jail's, opened by whoever started its first process.
type Namespaces struct {
	UserNS, PIDNS, NetNS *os.File
}

// builder is one Build under way.
type builder struct {
	Layout
	Namespaces
	people *people // maps shares; nil if there are none
	root   mounted
	null   mounted // a directory with one null device in it, for masking files
	empty  mounted // an empty directory that can't be written, for masking directories
}

// Build mounts everything, on the image that [Open] has begun with, and makes it
// the root of the calling thread's mount namespace, with the old root detached.
// The thread must be locked and have unshared its mount namespace, with /
// private. Before the old root goes, Build calls ready, which may wait and may
// refuse.
func (l Layout) Build(image *Image, ns Namespaces, ready func() error) error {
	b := &builder{Layout: l, Namespaces: ns}
	if len(l.Shares) > 0 {
		b.people = beginPeople(l.IDBase)
		defer b.people.close()
	}
	root, err := image.idmapped(ns.UserNS, l.Shares)
	if err != nil {
		return err
	}
	defer root.close()
	b.root = root
	if err := unix.MoveMount(root.fd, "", unix.AT_FDCWD, l.Mountpoint, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s at %s: %w", l.Image, l.Mountpoint, err)
	}
	if err := b.makeMasks(); err != nil {
		return err
	}
	defer b.null.close()
	defer b.empty.close()
	for _, piece := range [...]func() error{b.mountUsr, b.mountDev, b.mountProc, b.mountSys, b.mountRun, b.mountShares} {
		if err := piece(); err != nil {
			return err
		}
	}
	if err := ready(); err != nil {
		return err
	}
	return pivot(root)
}

// makeMasks makes the two sources of every mask, once: a tmpfs superblock for
// each masked directory would make the jail's death slow (runc issue 5275).
func (b *builder) makeMasks() error {
	null, err := newFS("tmpfs", []option{{"size", "4k"}, {"nr_inodes", "4"}, {"mode", "755"}}, nil, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	b.null = null
	if err := unix.Mknodat(null.fd, "null", unix.S_IFCHR|0o444, int(unix.Mkdev(1, 3))); err != nil {
		return fmt.Errorf("make a null device to mask with: %w", err)
	}
	b.empty, err = newFS("tmpfs", []option{{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "555"}}, nil,
		unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	return err
}
