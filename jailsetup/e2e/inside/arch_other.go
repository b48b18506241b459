//go:build linux && !amd64

package main

// archCalls are those of machines with input and output ports, and a second
// entry into the kernel.
func archCalls() []call { return nil }
