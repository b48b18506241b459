// Package spawn starts a jail's first process through jailspawn, a small
// program of its own: a clone with a new user namespace copies the page tables
// of whoever calls it, 0.5 ms from a small program and 15 ms from a fat one
// (spec/linux.md §2.1).
//
// The two talk over a socket pair, jailspawn's descriptor 3; the [Config] is
// its standard input:
//
//	supervisor            jailspawn                      stage 0 (injail)
//	Disk ──────────────▶  begins to mount it
//	Config ────────────▶  unshare, start ─────────────▶  waits
//	        ◀─── started: pid, pidfd, namespaces
//	links, filters        mounts
//	                              ◀─────────────────── ready
//	                      pivot_root
//	go ────────────────▶  go ────────────────────────▶   locks, drops, exec
//	        ◀─── running, or what failed
//
// If either side dies before "go", the other sees the socket close: jailspawn
// ends, stage 0 ends, and the mounts, the loop device and the namespaces end
// with them. What is left is the cgroup, whose undo the plan has on disk.
//
// Design decision 7; the order is spec/linux.md §2.2's.
package spawn

import (
	"encoding/json"

	"emujail/jailsetup/rootfs/tree"
)

// Config is what jailspawn is told: plain data, on its standard input.
type Config struct {
	VNode       string      `json:"vnode"`
	Hostname    string      `json:"hostname"`     // the jail's, locked: it can't set it
	Injail      string      `json:"injail"`       // host path of the program that is stage 0
	MaxUserNS   int         `json:"max_user_ns"`  // nested user namespaces the jail may make
	CgroupDir   string      `json:"cgroup_dir"`   // the jail's directory in the v2 hierarchy
	CgroupProcs []string    `json:"cgroup_procs"` // cgroup.procs files of the v1 controllers
	Layout      tree.Layout `json:"layout"`
}

// Disk is what jailspawn is told before its Config: which disk to mount, while
// the rest is made ready.
type Disk struct {
	Image string `json:"image"` // the jail's, Layout.Image
}

// Limits of the conversation.
const (
	maxConfigBytes  = 4 << 20
	maxMessageBytes = 64 << 10
)

// message is one packet on the socket pair.
type message struct {
	Started int             `json:"started,omitempty"` // pid, as the host counts; with four descriptors
	Go      json.RawMessage `json:"go,omitempty"`      // stage 0's message, passed on as it is
	Running bool            `json:"running,omitempty"`
	Ready   bool            `json:"ready,omitempty"` // stage 0's first word: it needs the host's tree no more
	Error   string          `json:"error,omitempty"`
}
