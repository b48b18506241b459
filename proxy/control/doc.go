// Package control carries messages, and descriptors beside them, between the
// supervisor (jailsetup serve) and the proxy (tmcc -proxy).
//
// The proxy opens nothing and knows no names: all it works with arrives here.
// One message is one packet of a SOCK_SEQPACKET unix socket, JSON of at most
// MaxMessage bytes, with up to MaxFiles descriptors attached:
//
//	supervisor                                   proxy
//	{"op":"tmcd","servers":[…],"tls":…}     →
//	{"op":"listen","vnodes":[…]} + sockets  →
//	                                        ←    {"op":"ok","re":"listen"}
//	                                        ←    {"op":"sign","id":7,"digest":…}
//	{"op":"signature","id":7,"signature":…} →
//	{"op":"close","vnode":"pcvm1-1"}        →
//	                                        ←    {"op":"ok","re":"close"}
//
// Every request of the supervisor is answered by one "ok" or "error" whose Re
// names it, in the order of the requests; "counters" and "return" are answered
// by messages of their own name, the last of which lacks More. The operations
// are the constants Op…; what each carries stands beside it.
//
// The two sides trust each other unequally. The proxy believes the supervisor.
// The supervisor believes of the proxy nothing but what it could verify: see
// SignServer, which limits what a captured proxy can have signed.
//
// See docs/design.md §3, decision 3, and docs/spec/linux.md §11.
package control
