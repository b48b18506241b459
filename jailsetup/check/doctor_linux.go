// Package check holds what looks at a host, or at a jail, without changing it.
//
// The doctor ([Host]) asks whether this host has what jails are made of: each
// [Need] is one thing, with what it is for and what to do when it lacks. The
// supervisor asks before it begins; `jailsetup doctor` prints all answers. A
// probe tries the thing itself where that leaves no trace, and never reads a
// kernel's version: versions lie, backports don't.
//
// docs/linux.md is the same list for people who choose a kernel.
package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/limit"
)

// Need is one thing that jails need of a host.
type Need struct {
	Name   string
	Why    string
	Remedy string
	probe  func() error
}

// Answer is a need and what came of its probe; nil is met.
type Answer struct {
	Need
	Err error
}

// LackError says what a host lacks, in one line.
type LackError struct{ Answers []Answer }

// Error implements error.
func (e *LackError) Error() string {
	var parts []string
	for _, a := range e.Answers {
		parts = append(parts, fmt.Sprintf("%s (%v; %s)", a.Name, a.Err, a.Remedy))
	}
	return "this host lacks " + strings.Join(parts, "; ")
}

const kernel = "boot a kernel that has it (docs/linux.md lists what is needed)"

// needs is the table, in the order in which a boot would miss them.
func needs() []Need {
	return []Need{
		{"root", "jails are made of what only root may do", "run it as root (sudo jailsetup doctor): only root can try the rest", probeRoot},
		{"cgroup v2", "killing a jail whole, knowing who asks", "mount -t cgroup2 none /sys/fs/cgroup/unified", probeCgroup},
		{"cgroup.kill", "ending a jail whole", kernel, probeCgroupKill},
		{"namespaces", "root in a jail is not root on the host; its own processes, network and names", kernel + ", or allow more: sysctl user.max_user_namespaces", probeNamespaces},
		{"mounts by descriptor", "no path of a jail is followed", kernel, probeFS("tmpfs")},
		{"idmapped mounts", "files seen through a jail's ids", kernel, probeIDMap},
		{"openat2", "nothing is removed across a mount or a link", kernel, probeOpenat2},
		{"PIDFD_GET_INFO", "who calls at a jail's socket, how a jail has ended", kernel, probePidfd},
		{"system call filters", "what jails may not call", kernel, probeSeccomp},
		{"programs at cgroups and links", "the ports that a jail may bind, what its capture sockets may send, TCP past a LAN's bridge", kernel, probePrograms},
		{"nftables", "walls at the host's end of each link", kernel + ", or modprobe nf_tables", probeRules},
		{"ext4", "the jails' disks", kernel, probeFS("ext4")},
		{"proc for another pid namespace", "a jail's /proc, made outside", "boot Linux 6.18 or later", probePIDNS},
		{"loop devices", "the jails' disks", "modprobe loop", probeFile("/dev/loop-control")},
		{"bridges and veth", "links", "modprobe bridge veth", probeLinks},
		{"mkfs.ext4", "to make the jails' disks", "apt-get install e2fsprogs", probeProgram("mkfs.ext4")},
		{"e2fsck", "to check the jails' disks", "apt-get install e2fsprogs", probeProgram("e2fsck")},
		{"sshd", "the jails' logins, from the host's /usr", "apt-get install openssh-server", probeFile("/usr/sbin/sshd")},
		{"cron", "the jails' cron, from the host's /usr", "apt-get install cron", probeFile("/usr/sbin/cron")},
		{"busybox", "the jails' syslogd, from the host's /usr", "apt-get install busybox", probeProgram("busybox")},
	}
}

// Host probes all needs. Without root it says that, and no more: what is
// refused to another user may well be there.
func Host() []Answer {
	var answers []Answer
	for i, n := range needs() {
		answers = append(answers, Answer{n, n.probe()})
		if i == 0 && answers[0].Err != nil {
			break
		}
	}
	return answers
}

// Ready is nil, or a [LackError] with what is lacking.
func Ready() error {
	var lacks []Answer
	for _, a := range Host() {
		if a.Err != nil {
			lacks = append(lacks, a)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return &LackError{lacks}
}

func probeRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("user id is %d", os.Geteuid())
	}
	return nil
}

func probeCgroup() error {
	_, err := limit.Discover()
	return err
}

func probeFile(path string) func() error {
	return func() error {
		_, err := os.Stat(path)
		return err
	}
}

func probeProgram(name string) func() error {
	return func() error {
		for _, dir := range [...]string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"} {
			if _, err := os.Stat(dir + name); err == nil {
				return nil
			}
		}
		return &exec.Error{Name: name, Err: exec.ErrNotFound}
	}
}

// probeFS opens a file system's context and drops it.
func probeFS(kind string) func() error {
	return func() error {
		fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
}

// probePIDNS offers our own pid namespace to a proc that is never made.
func probePIDNS() error {
	fd, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ns, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.FsconfigSetFd(fd, "pidns", int(ns.Fd())); err != nil {
		return errors.New("option pidns is not known")
	}
	return nil
}
