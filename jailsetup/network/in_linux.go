package network

import "os"

// In runs f on a thread of its own that is in the network namespace, for those
// who look at a jail: sockets that f opens belong to it, and /proc/sys/net is
// its.
func In(ns *os.File, f func() error) error { return inNamespace(ns, f) }
