// Package hub is the host's event hub: it carries events between the operator,
// an experiment's schedule and the agents in the experiment's jails.
//
//	hub.go       experiments and their jails; what the operator may do
//	door.go      one jail's socket: who speaks is told by the socket
//	publish.go   names, groups, signing, queues
//	schedule.go  an experiment's events by its time
//	store_linux.go  what outlives the supervisor, on disk
//
// Each jail has a socket of its own, /run/emulab/events. From there an agent
// says which objects it has (an event of type NODE, action SUBSCRIBE, their
// names as arguments, with =TYPE if the operator's words are to be held against
// what that type knows) and gets what is told to those, as lines of package
// event, signed with the experiment's key. What it sends goes to the others of
// its experiment.
//
// A jail is hostile. The sender of an event is the socket it came by, written
// over whatever the line says; a jail speaks in its own experiment only, never
// as the operator (TIME and NODE are the operator's), and what it says must
// bear the key and be new (peers.md T46). Lines, connections, rate and queues
// are bounded; who doesn't read is cut off, and nobody waits for it.
//
// Values are apart from transport: publish.go knows subscribers, not sockets,
// and the wire between the hubs of two hosts can become another of them.
package hub
