package tree

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// procMasks are covered if they are there (S17); procReadOnly are covered by
// read-only clones of themselves.
var (
	procMasks = [...]string{
		"acpi", "asound", "kcore", "keys", "key-users", "kmsg", "latency_stats", "timer_list",
		"timer_stats", "sched_debug", "scsi", "interrupts", "slabinfo", "vmallocinfo", "kallsyms", "modules",
	}
	procReadOnly = [...]string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

// mountProc mounts the proc of the jail's pid namespace. With writable net
// settings, /proc/sys/net of the jail's own network namespace is put back on
// top, read-write (spec/linux.md §3.4).
func (b *builder) mountProc() error {
	proc, err := newFS("proc", nil, map[string]int{"pidns": int(b.PIDNS.Fd())}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fmt.Errorf("%w (the kernel must know proc's option pidns: 6.17 and later)", err)
	}
	defer proc.close()
	if err := proc.attach(b.root, "proc"); err != nil {
		return err
	}
	var net mounted
	if b.WritableNet {
		if net, err = cloneBelow(b.root, "proc/sys/net"); err != nil {
			return err
		}
		defer net.close()
	}
	for _, name := range procReadOnly {
		m, err := cloneBelow(b.root, "proc/"+name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = m.set(unix.MOUNT_ATTR_RDONLY, nil)
		}
		if err := place(m, err, b.root, "proc/"+name); err != nil {
			return err
		}
	}
	if b.WritableNet {
		if err := net.attach(b.root, "proc/sys/net"); err != nil {
			return err
		}
	}
	for _, name := range procMasks {
		if err := b.mask("proc/" + name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// mountSys mounts the sysfs of the jail's network namespace, read-only: it
// shows that namespace's links only. The caller's thread is locked; if it
// can't come back to its namespace the error ends the program.
func (b *builder) mountSys() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer unix.Close(own)
	if err := unix.Setns(int(b.NetNS.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the jail's network namespace: %w", err)
	}
	sys, err := newFS("sysfs", nil, nil, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave the jail's network namespace: %w", back))
	}
	if err := place(sys, err, b.root, "sys"); err != nil {
		return err
	}
	// Of a loop device, devices/virtual/block tells the file: another jail's name.
	for _, name := range [...]string{"firmware", "fs", "kernel", "power", "module", "devices/virtual/block"} {
		if err := b.mask("sys/" + name); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}
