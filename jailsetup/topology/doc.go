// Package topology computes the routes of an experiment's node (ROUTERTYPE=static,
// spec jail.md §2.8 no. 2): who is on which LAN ([Parse], [FromHostNames]), and
// from that the shortest ways ([Map.Routes]). It is values and arithmetic; package
// network puts the routes in.
//
// The testbed's map says, a line each, nodes with their addresses and LANs with
// mask and cost:
//
//	# nodes: vname,links
//	node-a,lan0:10.1.1.2 link-ab:10.1.2.2
//	# lans: vname,mask,cost
//	lan0,255.255.255.0,1
//
// All nodes forward. To cross a LAN costs its cost; a LAN that the map doesn't
// list has a mask of 24 bits and costs 1, as Emulab's LANs do by default. Of
// ways that cost the same the one by the lower next address is taken, so that
// the same map gives the same routes everywhere.
package topology
