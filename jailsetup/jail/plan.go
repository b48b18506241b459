package jail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs"
	"emujail/jailsetup/rootfs/tree"
	"emujail/jailsetup/spawn"
	"emujail/protocol"
)

// Plan is a boot as a list of steps: what makes the disk, and what lasts for
// one boot.
type Plan struct {
	Disk, Boot []plan.Step
	Notes      []string // what the vnode will lack, for people

	cgroupDir string
	launch    *launch
}

// Steps is the whole plan, for `-n`.
func (p Plan) Steps() []plan.Step { return slices.Concat(p.Disk, p.Boot) }

// Plan turns what tmcd says into steps. It makes the template that disks are
// cloned from, if it isn't there; else it changes nothing.
func (h *Host) Plan(ctx context.Context, r Record, w Wish) (Plan, error) {
	if !w.Jail.JailIP.IsValid() {
		return Plan{}, errors.New("tmcd gives this vnode no control address of its own (JAILIP); sharing the host's is not provided")
	}
	links, err := experimentLinks(w)
	if err != nil {
		return Plan{}, err
	}
	size, err := diskSize(w.Jail.VDSize, h.Site.Limits.DiskMiB)
	if err != nil {
		return Plan{}, err
	}
	made, err := rootfs.Template{Dir: h.Site.templates(), Host: "/", Size: size}.Ensure(ctx)
	if err != nil {
		return Plan{}, err
	}
	stage0, err := goMessage(r.VNode, w.Jail)
	if err != nil {
		return Plan{}, err
	}
	shares, notes, err := h.Site.sharesOf(w)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{launch: &launch{}, Notes: notes}
	p.Disk = []plan.Step{rootfs.Image{Template: made.Image, Path: h.Site.imagePath(r.VNode)}}

	cgroup := limit.Cgroup{
		Hierarchies: h.Hierarchies, VNode: r.VNode,
		Processes: h.Site.Limits.Processes, Memory: int64(h.Site.Limits.MemoryMiB) << 20, CPUShare: h.Site.Limits.CPUShare,
	}
	p.cgroupDir = cgroup.Dir()
	given := h.Site.GivenDir(r.VNode)
	p.Boot = []plan.Step{
		cgroup,
		Given{Dir: given, Conf: h.conf(r, w)},
		Doors{VNode: r.VNode, Dir: given, CgroupDir: cgroup.Dir(), Hands: h.Hands},
		Spawn{Program: h.Site.spawner(), Config: h.spawnConfig(r, w, made, cgroup, shares), launch: p.launch},
	}
	p.Boot = append(p.Boot, h.networkSteps(r, w, links)...)
	p.Boot = append(p.Boot, permitSteps(w.Jail, cgroup.Dir(), len(links))...)
	p.Boot = append(p.Boot, Go{CgroupDir: cgroup.Dir(), Stage0: stage0, launch: p.launch})
	return p, nil
}

func (h *Host) spawnConfig(r Record, w Wish, made rootfs.Made, c limit.Cgroup, shares []tree.Share) spawn.Config {
	return spawn.Config{
		VNode:       r.VNode,
		Hostname:    w.Hostname,
		Injail:      filepath.Join(h.Programs, "injail"),
		MaxUserNS:   h.Site.Limits.UserNS,
		CgroupDir:   c.Dir(),
		CgroupProcs: c.Procs(),
		Layout: tree.Layout{
			Image:       h.Site.imagePath(r.VNode),
			Mountpoint:  h.Site.mountpoint(),
			Given:       h.Site.GivenDir(r.VNode),
			Programs:    h.Programs,
			UsrMasks:    made.Masks,
			IDBase:      r.IDBase,
			MaxPTYs:     h.Site.Limits.Terminals,
			Shares:      shares,
			WritableNet: w.Jail.Routing,
		},
	}
}

// networkSteps wires the jail while its first process waits.
func (h *Host) networkSteps(r Record, w Wish, links []network.ExperimentLink) []plan.Step {
	experiment := w.Status.PID + "/" + w.Status.EID
	generation, group := uint64(r.Boot), uint32(r.IDBase/idCount)
	control := network.ControlLink{
		Control: h.Network, VNode: r.VNode, Experiment: experiment,
		Addr: w.Jail.JailIP, Generation: generation, Group: group,
	}
	if mac, err := network.ParseMAC(w.Jail.CtrlMAC); err == nil {
		control.MAC = mac
	}
	steps := []plan.Step{
		network.Inside{IDBase: uint32(r.IDBase), Forward: w.Jail.Routing},
		control,
	}
	if len(links) > 0 {
		steps = append(steps, network.ExperimentNamespace{RunDir: h.Site.Run, Experiment: experiment})
	}
	for _, l := range links {
		l.RunDir, l.Experiment, l.VNode = h.Site.Run, experiment, r.VNode
		l.Generation, l.Group = generation, group
		steps = append(steps, l)
	}
	return steps
}

// experimentLinks makes of the ifconfig records the links of the experiment,
// in an order that doesn't depend on the database's: eth1 is the first by LAN,
// then by address.
func experimentLinks(w Wish) ([]network.ExperimentLink, error) {
	virtual := slices.DeleteFunc(slices.Clone(w.Interfaces), func(i protocol.Interface) bool { return !i.Virtual })
	slices.SortFunc(virtual, func(a, b protocol.Interface) int {
		return cmp.Or(cmp.Compare(a.LAN, b.LAN), cmp.Compare(a.INET, b.INET))
	})
	var links []network.ExperimentLink
	for n, i := range virtual {
		addr, err := addressOf(i)
		if err != nil {
			return nil, err
		}
		mac, err := network.ParseMAC(i.VMAC)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", i.INET, err)
		}
		links = append(links, network.ExperimentLink{
			LAN: i.LAN, Name: "eth" + strconv.Itoa(n+1), Index: n + 1, MAC: mac, Addrs: []netip.Prefix{addr},
		})
	}
	return links, nil
}

func addressOf(i protocol.Interface) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(i.INET)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("interface on %s: %w", i.LAN, err)
	}
	mask, err := netip.ParseAddr(i.Mask)
	if err != nil || !mask.Is4() {
		return netip.Prefix{}, fmt.Errorf("interface %s: mask %q is no IPv4 mask", i.INET, i.Mask)
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return netip.Prefix{}, fmt.Errorf("interface %s: mask %s has holes", i.INET, i.Mask)
	}
	return netip.PrefixFrom(addr, ones), nil
}

// maxDiskGB bounds VDSIZE: beyond it the number is a mistake.
const maxDiskGB = 1024

// diskSize is VDSIZE, a decimal number of GB, or the site's default.
func diskSize(vdsize string, defaultMiB int) (int64, error) {
	if vdsize == "" {
		return int64(defaultMiB) << 20, nil
	}
	gb, err := strconv.ParseFloat(vdsize, 64)
	if err != nil || math.IsNaN(gb) || gb <= 0 || gb > maxDiskGB {
		return 0, fmt.Errorf("VDSIZE %q: want a number of GB, more than 0, at most %d", vdsize, maxDiskGB)
	}
	const page = 4096
	return int64(gb*(1<<30)) / page * page, nil
}

// conf is the jail's /run/emulab/jail.conf. Nothing in it is secret.
func (h *Host) conf(r Record, w Wish) []byte {
	var b bytes.Buffer
	for _, kv := range [...]struct{ key, value string }{
		{"VNODEID", r.VNode},
		{"HOSTNAME", w.Hostname},
		{"DOMAIN", w.Domain},
		{"PID", w.Status.PID},
		{"EID", w.Status.EID},
		{"NICKNAME", w.Status.NickName},
		{"SSHDPORT", strconv.Itoa(w.SSHDPort())},
		{"JAILIP", w.Address()},
		{"CTRLIF", "eth0"},
		{"GATEWAY", h.Network.Gateway.String()},
		{"WEBSERVER", h.Site.Web},
		{"BOSSNAME", h.Tmcd.Boss.Name},
		{"GRACE", h.Site.graceSeconds()},
		{"BOOTSERIAL", strconv.Itoa(r.Boot)},
	} {
		fmt.Fprintf(&b, "%s=%s\n", kv.key, shellQuote(kv.value))
	}
	return b.Bytes()
}

// shellQuote quotes for sh. Boss's words are data, whatever they contain.
func shellQuote(s string) string {
	out := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			continue
		case c == '"' || c == '\\' || c == '$' || c == '`':
			out = append(out, '\\', c)
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
}
