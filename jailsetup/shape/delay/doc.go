// Package delay is the delay node: it carries frames between pairs of packet
// sockets and makes them late, out of order or lost on the way, where the kernel
// can't (no netem). One process does it for all links of a host.
//
// A link has two sides, the jail's and the LAN's, and two [Pipe] values, a
// direction each. What comes in on one side waits in its pipe and goes out on
// the other:
//
//	recvmmsg → loss → RED → queue by due time → sendmmsg
//
// One thread does everything: an epoll set of all sockets, a wait until the
// next frame is due, by nanoseconds; at most [batchSize] frames of a socket
// before the next one's turn, so that a flood on one link costs the others
// fractions of a millisecond (docs/spec/linux.md §10). Go's timers and poller
// round to a millisecond and are not used. While a frame waits, no idle
// processor of the host sleeps: waking up takes longer than a frame may be late.
//
// The process ([Main]) starts as root, takes a real-time priority and the place
// for that claim, then gives everything else away: user, capabilities, root
// directory, network namespace, system calls. Sockets come over a control socket, open and bound. When the
// supervisor dies the node goes on, and waits for the next one at a listener
// that it was given. Queues are bounded in bytes a direction and in all.
//
// Frames may be large: what a jail's stack leaves to the device to cut (GSO)
// comes as one frame with PACKET_VNET_HDR. A pipe that only delays passes it on
// whole; one that loses, jitters or queues cuts it first, since each of its
// segments is a packet of its own on a wire.
package delay
