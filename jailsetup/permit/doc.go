// Package permit enforces those permission bits of jailconfig that the kernel
// has no switch for, by small BPF programs in front of a jail's sockets and
// links (jail.md §2.4, spec/linux.md §5, §8):
//
//	INADDRANY=0  a wildcard bind becomes the jail's primary address ([Bind]);
//	             of IPv6 alone it is refused, since that address is IPv4. A
//	             socket that listens unbound is seen by no program here
//	PORTRANGE    a bind outside the range is refused ([Bind]), for a jail that
//	             shares the host's address; ports that the kernel chooses are
//	             held by ip_local_port_range (package network)
//	BPFRO        frames that a capture socket sends are dropped ([Capture],
//	             [CaptureInside] for links that are shaped)
//
// The other bits are the business of the capability bounding set and of the
// system call filter (jail/permit.go, injail/stage0).
//
// Programs are written in BPF assembly here and loaded once for each jail, with
// its numbers in them; nothing is compiled on the host. They are attached to
// the jail's cgroup and to its links' host ends without a link descriptor, so
// they stay when the supervisor dies and go with the cgroup and the links: there
// is nothing to undo. A jail's root can't take them away: bpf(2) is refused to it.
package permit
