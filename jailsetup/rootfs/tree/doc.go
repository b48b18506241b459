// Package tree mounts a jail's file system from outside, piece by piece, by
// descriptor, and makes it the root of the calling thread's mount namespace.
//
// It runs in jailspawn, the small program that starts a jail, on a locked
// thread that has unshared its mount namespace; nothing here touches another
// thread's view. The pieces, in the order of [Layout.Build]:
//
//	image.go  the jail's own ext4, from a loop device, idmapped
//	usr.go    the host's /usr, read-only and idmapped, what others can't read masked
//	dev.go    /dev on a tmpfs with the listed nodes, pts, shm
//	proc.go   /proc of the jail's pid namespace, masked; /sys of its net namespace
//	run.go    /run, and in it what the host gives: sockets, programs, jail.conf
//	share.go  project and user directories of the host, local stores, without the system's ids
//	pivot.go  pivot_root
//
// What a jail's root user left on its image is hostile. Every target is opened
// below the root's descriptor by openat2 without following any link
// ([openBelow]); a mount is attached to that descriptor, never to a path. A
// planted link makes the boot fail with the place named, and the host's tree
// stays as it was (jail.md S27, peers.md T7).
//
// Nothing needs an undo: the mounts belong to the namespace of a thread that
// ends, and then to the jail's, and die with them. The loop device detaches
// itself with the last mount (spec/linux.md §3.1, §13).
package tree
