// Package network makes the wires of jails: the control network that leads to
// the host, and the links of an experiment. It is all netlink and nftables; no
// program is started and no host firewall is touched.
//
// Two kinds of network namespace of ours carry everything, pinned by bind
// mounts below RunDir/netns, out of reach of whatever manages the host's own
// devices:
//
//	host ── emuctl0 ═ up0 ── control ── ctl ═ jail's eth0     (one a host)
//	                         x-<experiment> ── LAN bridge ═ jail's eth1…
//
// The control namespace is a router. Its bridge ports are isolated, so what a
// jail sends goes to the router or nowhere; the router forwards to the host's
// listed ports and to jails of the same experiment (spec jail.md S2, S30). A
// jail that shares the host's address has a private one there, and a table in
// the host's namespace translates a range of ports ([SharedAddress]). An
// experiment's namespace holds a bridge per LAN and routes nothing. At each
// port frames with a foreign source are dropped, and all but IPv4, ARP and (in
// experiments) IPv6 (S6, peers.md T17). The rules stand before a link does and
// need no process of ours (T23). TCP over IPv4 between two jails of a LAN goes
// past its bridge, which makes it nearly as fast as a bare pair of links
// (straight_linux.go).
//
// The deeds are [plan.Step] values: [HostControl] once a host; then for each
// jail [Inside], [SharedAddress], [ControlLink], [ExperimentNamespace], [ExperimentLink], in
// that order. All can be repeated after a crash. [Deeds] is the way back.
//
// Nothing that a jail can name is trusted: host ends lie in our namespaces,
// under names that a jail neither chooses nor can change (T20, T21).
package network
