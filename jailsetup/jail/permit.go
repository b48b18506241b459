package jail

import (
	"encoding/json"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/stage0"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/plan"
	"emujail/protocol"
)

// neverHeld are the capabilities that no jail keeps in its bounding set. Most
// have no power in a user namespace anyway; out of the set they can't come
// back either (spec/linux.md §5, §8).
var neverHeld = [...]int{
	unix.CAP_AUDIT_READ, unix.CAP_BLOCK_SUSPEND, unix.CAP_BPF, unix.CAP_LINUX_IMMUTABLE,
	unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_MKNOD, unix.CAP_PERFMON,
	unix.CAP_SYSLOG, unix.CAP_SYS_MODULE, unix.CAP_SYS_PACCT, unix.CAP_SYS_RAWIO,
	unix.CAP_SYS_TIME, unix.CAP_WAKE_ALARM,
}

// bounding is what the permission bits of jailconfig drop besides. ROUTING
// decides on CAP_NET_ADMIN, since IPFW alone can't be split from it: the
// stricter wins. CAP_SYS_BOOT stays: inside, reboot(2) ends the jail (T36).
func bounding(j protocol.JailConfig) []int {
	drop := append([]int(nil), neverHeld[:]...)
	if !j.Routing {
		drop = append(drop, unix.CAP_NET_ADMIN)
	}
	if !j.InetRaw && !j.BPFRO {
		drop = append(drop, unix.CAP_NET_RAW)
	}
	return drop
}

// permitSteps are the steps of those bits that BPF programs enforce.
func permitSteps(r Record, j protocol.JailConfig, cgroupDir string, w wires) []plan.Step {
	var steps []plan.Step
	bind := permit.Bind{CgroupDir: cgroupDir, PortLow: uint16(r.PortLow), PortHigh: uint16(r.PortHigh)}
	if !j.InAddrAny {
		bind.Primary = r.inside()
	}
	if bind.Needed() {
		steps = append(steps, bind)
	}
	if j.BPFRO {
		steps = append(steps, permit.Capture{Ends: w.ends})
		if len(w.shaped) > 0 {
			steps = append(steps, permit.CaptureInside{Links: w.shaped})
		}
	}
	return steps
}

// refusals are the bits that a jail doesn't get although boss sets them, or gets
// by another one although boss doesn't, in words for the log. Both ends of the
// packet filter's queue, which stands for divert sockets here, are the packet
// filter's own netlink family; routes and shapers are one, too (spec/linux.md §5).
func refusals(j protocol.JailConfig) []string {
	var list []string
	if j.DevMem {
		list = append(list, "DEVMEM=1 is refused: no jail sees the host's memory")
	}
	if j.IPDivert {
		list = append(list, "IPDIVERT=1 is refused: divert sockets are not provided here (the packet filter's queue, where the kernel has one, is IPFW's)")
	}
	if !j.IPDivert && j.IPFW && j.Routing {
		list = append(list, "IPDIVERT=0 beside IPFW=1: the packet filter's queue (NFQUEUE), where the kernel has one, can't be split from it")
	}
	if j.IPFW && !j.Routing {
		list = append(list, "IPFW=1 beside ROUTING=0: CAP_NET_ADMIN can't be split, the stricter wins")
	}
	if !j.IPFW && j.Routing {
		list = append(list, "IPFW=0 beside ROUTING=1: no packet filter, but the shaper (tc) can't be split from routes")
	}
	return list
}

// innerPath is where programs are looked for inside.
const innerPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// goMessage is what stage 0 is told.
func goMessage(vnode string, j protocol.JailConfig) (json.RawMessage, error) {
	return json.Marshal(stage0.Message{
		Go:       true,
		Bounding: bounding(j),
		Seccomp:  stage0.Options{SysVIPC: j.SysVIPC, Packet: j.BPFRO, Raw: j.InetRaw, Netfilter: j.IPFW && j.Routing, Multicast: j.Routing},
		Argv:     []string{"/run/emulab/bin/injail"},
		Env:      []string{innerPath, "TMCCVNODEID=" + vnode, "HOME=/root", "TERM=linux", "LANG=C.UTF-8"},
	})
}
