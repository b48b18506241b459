// Package shape gives links their rate, delay, jitter, loss and queue, each
// direction apart.
//
//	shape.go   what a direction can be told, and the bounds
//	words.go   the same as words: delay=20ms rate=10Mb loss=0.01 queue=50
//	tmcd.go    the same from tmcd's linkdelay and delay
//	link.go    a shaped link, and its record on disk
//	step.go    the step of a boot, and its undo
//	kernel_linux.go  what the kernel does: rate, queue; netem where it is there
//	keeper_linux.go  who knows all links and the delay node
//	node_linux.go    the delay node's life: start, adopt, start again
//
// A shaped interface is spliced ([network.Splice]): between the host end of the
// jail's interface and the LAN's port stands what shapes it.
//
//	jail's eth1 ═ Jail (tbf: in)   ⇄   LAN (tbf: out) ═ Port ── bridge
//
// Rate and queue are a tbf where the frames leave. Between the two ends frames
// are carried by the kernel itself (an ingress filter that redirects) as long
// as the kernel can do all that is wanted, netem included; else by the delay
// node (package delay), over packet sockets. Whether netem is there is found out
// once. A change, of values or of carrier, doesn't take the link down.
//
// What a link should do is a record below RunDir/shape, written before it is
// done; from the records everything is set up again when the delay node or the
// supervisor was killed. Their loss in a crash of the machine is right: the
// links are gone too.
package shape
