// Package proxy is the one door between jails, whose root users are hostile,
// and the testbed's tmcd. A request's way through it, a file a step:
//
//	listen.go    a connection at a jail's socket: which socket, that jail
//	limit.go     within what the jail may have open, and at once
//	attest.go    from a process that lies in the jail
//	read.go      read as far as its end, the last byte left in the socket
//	sanitize.go  read as tmcd would, identity taken out
//	policy.go    a command that a jail may give
//	relay.go     stamped PROXYFOR=<jail>, sent to tmcd, the answer brought back
//	audit.go     one line about it
//
// The jail's name comes from the socket that accepted, never from bytes. What
// is sent on is rendered from the parsed value, so that tmcd and the proxy
// can't understand two things. A refusal or a failure shows at the caller as a
// reset connection; a clean end always means that tmcd's whole answer arrived.
// A request of which tmcd may have seen a byte is never sent again.
//
// Serve runs it, either for one jail at a path of its own (tmcc -proxy PATH -n
// VNODE) or for all jails of a host, with sockets, tmcds and all else handed
// over by a supervisor: package proxy/control. Confine takes the process's
// rights away first; afterwards it opens no file and resolves no name.
//
// Nobody is trusted but the supervisor and tmcd. See docs/design.md §3,
// decisions 1 to 6, docs/security.md, and docs/failures.md.
package proxy
