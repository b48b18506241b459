package conformance

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"emujail/protocol"
)

// formatRows are spec §6 in version 40: each reply is read by protocol's parser and
// written again, byte for byte.
func formatRows() []Row {
	everybody := whom{host: true, vnode: true}
	hosts, vnodes, anyone := whom{host: true}, whom{vnode: true}, whom{}
	rows := []Row{
		{ID: "6/1", Rule: "nodeid: one word", check: replies("nodeid", everybody)},
		{ID: "6/2", Rule: "nodeuuid: one word", check: replies("nodeuuid", anyone)},
		{ID: "6/3", Rule: "status: ALLOCATED=pid/eid NICKNAME=, or FREE", check: replies("status", everybody)},
		{ID: "6/4", Rule: "creator: CREATOR= SWAPPER=", check: replies("creator", everybody)},
		{ID: "6/5", Rule: "ifconfig: INTERFACE lines, MACs of 12 hexadecimal digits", check: all(replies("ifconfig", anyone), macs())},
		{ID: "6/6", Rule: "hostnames: NAME= IP= ALIASES=''", check: replies("hostnames", anyone)},
		{ID: "6/7", Rule: "rpms: SERVER= USEWEB= RPM=", check: replies("rpms", anyone)},
		{ID: "6/8", Rule: "tarballs: SERVER= USEWEB= DIR= TARBALL=", check: replies("tarballs", anyone)},
		{ID: "6/9", Rule: "blobs: URL= ACTION=", check: replies("blobs", anyone)},
		{ID: "6/10", Rule: "startupcmd: CMD='' UID=", check: replies("startupcmd", anyone)},
		{ID: "6/11", Rule: "mounts: FSTYPE=, then REMOTE= LOCAL=", check: replies("mounts", anyone)},
		{ID: "6/12", Rule: "routing: ROUTERTYPE=, then ROUTE lines", check: replies("routing", everybody)},
		{ID: "6/13", Rule: "routelist: as routing, with NODE=", check: replies("routelist", anyone)},
		{ID: "6/14", Rule: "trafgens: TRAFGEN= …", check: replies("trafgens", anyone)},
		{ID: "6/15", Rule: "tunnels: TUNNEL= MEMBER= KEY='' VALUE=''", check: replies("tunnels", anyone)},
		{ID: "6/16", Rule: "programs: UID=, then AGENT= lines", check: replies("programs", anyone)},
		{ID: "6/17", Rule: "syncserver: SYNCSERVER SERVER='' ISSERVER=", check: replies("syncserver", anyone)},
		{ID: "6/18", Rule: "keyhash: KEYHASH HASH=''", check: replies("keyhash", anyone)},
		{ID: "6/19", Rule: "eventkey: EVENTKEY KEY=''", check: replies("eventkey", anyone)},
		{ID: "6/20", Rule: "jailconfig: KEY=\"value\" lines for a jail, PORTRANGE among them", check: replies("jailconfig", vnodes)},
		{ID: "6/21", Rule: "vnodelist: VNODEID= JAILED=", check: replies("vnodelist", anyone)},
		{ID: "6/22", Rule: "userenv: NAME=value", check: replies("userenv", anyone)},
		{ID: "6/23", Rule: "manifest: SERVICE and HOOK lines", check: replies("manifest", anyone)},
		{ID: "6/24", Rule: "nodeattributes: KEY=\"value\"", check: replies("nodeattributes", anyone)},
		{ID: "6/25", Rule: "disks: DISK DISKNAME= …", check: replies("disks", anyone)},
		{ID: "6/26", Rule: "watchdoginfo: INTERVAL= … SETROOTPSWD=, seconds", check: replies("watchdoginfo", everybody)},
		{ID: "6/27", Rule: "watchdoginfo of a vnode: NTPDRIFT, CVSUP and HOSTKEYS are 0", check: vnodesDuties()},
		{ID: "6/28", Rule: "firewallinfo: TYPE=", check: replies("firewallinfo", everybody)},
		{ID: "6/29", Rule: "ntpinfo: SERVER= or PEER= lines, DRIFT=", check: replies("ntpinfo", hosts)},
		{ID: "6/30", Rule: "sdparams is a constant", check: says(host("VERSION=40 sdparams "), "reg=300 agg=5 load=1 expt=5 ctl=1000\n")},
		{ID: "6/31", Rule: "localization: ROOTPUBKEY='' lines", check: replies("localization", anyone)},
		{ID: "6/32", Rule: "role: node, virthost, delaynode, sharedhost, subboss or storagehost", check: role()},
		{ID: "6/33", Rule: "readycount: READY= TOTAL=", check: replies("readycount", hosts)},
		{ID: "6/34", Rule: "traceinfo: lines of traces", check: replies("traceinfo", anyone)},
		{ID: "6/35", Rule: "linkdelay: lines of shaped interfaces", check: replies("linkdelay", anyone)},
		{ID: "6/36", Rule: "delay: lines of a delay node", check: replies("delay", anyone)},
		{ID: "6/37", Rule: "bootwhat: STATUS=success TYPE=", check: replies("bootwhat", hosts)},
		{ID: "6/38", Rule: "hwinfo: lines of tests and units", check: replies("hwinfo", anyone)},
		{ID: "6/39", Rule: "imageinfo: the image by project, group, name and version", check: replies("imageinfo", anyone)},
		{ID: "6/40", Rule: "serviceinfo: which machine runs what", check: replies("serviceinfo", hosts)},
		{ID: "6/41", Rule: "tiptunnels: VNODE= SERVER= PORT= KEYLEN= KEY=", check: replies("tiptunnels", anyone)},
		{ID: "6/42", Rule: "subnodelist: NODEID= TYPE=", check: replies("subnodelist", anyone)},
		{ID: "6/43", Rule: "topomap, ltmap and ltpmap: gzip, as it lies on disk", check: gzipMaps()},
		{ID: "6/44", Rule: "geni_ commands: NUL and a value, or two NULs and an error", check: geniReplies()},
		{ID: "6/45", Rule: "empty by design: deltas", check: silent(host(nodeid), host("VERSION=40 deltas "))},
		{ID: "6/46", Rule: "hostnames holds every vnode's own name, one bare alias a node", check: bareAliases()},
	}
	return rows
}

// whom a command must be answered to, if they are in an experiment.
type whom struct{ host, vnode bool }

// asker is somebody whose replies are looked at.
type asker struct {
	q     question // with the tags and VERSION= only
	vnode bool
	must  bool
}

// askers are all that the target gives, over the way that they may ask anything.
func (p *probe) askers(w whom) []asker {
	list := []asker{{q: host(""), must: w.host}}
	for _, v := range p.vnodes() {
		list = append(list, asker{host("VNODEID=" + v + " "), true, w.vnode}, asker{host("PROXYFOR=" + v + " "), true, w.vnode})
	}
	for _, a := range p.t.Also {
		list = append(list, asker{q: question{from: a, way: tcp}})
	}
	if p.t.Remote.IsValid() && p.t.TLS != nil {
		list = append(list, asker{q: host("").by(asRemote).over(overTL)})
	}
	return list
}

// replies reads a command's reply to everybody. Those named by w must get one; if
// nobody gets any there is nothing to judge.
func replies(command string, w whom) check {
	needs := Needs(0)
	if w.vnode && !w.host {
		needs = NeedVNode
	}
	return check{needs, func(p *probe) error {
		var errs []error
		seen := 0
		for _, a := range p.askers(w) {
			a.q.text += "VERSION=40 " + command + " "
			b, err := p.ask(a.q)
			switch {
			case err != nil:
				return err
			case b == "" && a.must:
				if _, err := p.some(a.q); err != nil {
					errs = append(errs, err)
				}
			case b != "":
				seen++
				if _, err := read(command, b, protocol.Version); err != nil {
					errs = append(errs, fmt.Errorf("%v: %w", a.q, err))
				}
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if seen == 0 {
			return missingf("%s is empty for everybody who was asked", command)
		}
		return nil
	}}
}

func macs() check {
	return check{0, func(p *probe) error {
		for _, a := range p.askers(whom{}) {
			a.q.text += "VERSION=40 ifconfig "
			b, err := p.ask(a.q)
			if err != nil {
				return err
			}
			config, err := protocol.ParseIfConfig([]byte(b))
			if err != nil {
				return err
			}
			for _, i := range config.Interfaces {
				for _, mac := range []string{i.MAC, i.VMAC} {
					if mac != "" && (len(mac) != 12 || strings.Trim(mac, "0123456789abcdef") != "") {
						return fmt.Errorf("%v: MAC %q, want 12 hexadecimal digits", a.q, mac)
					}
				}
				if i.INET != "" {
					if _, err := netip.ParseAddr(i.INET); err != nil {
						return fmt.Errorf("%v: INET=%s: %w", a.q, i.INET, err)
					}
				}
			}
		}
		return nil
	}}
}

func vnodesDuties() check {
	return check{NeedVNode, func(p *probe) error {
		b, err := p.some(host("VNODEID={vnode} VERSION=40 watchdoginfo "))
		if err != nil {
			return err
		}
		w, err := protocol.ParseWatchdogInfo([]byte(b))
		if err == nil && (w.NTPDrift != 0 || w.CVSup != 0 || w.HostKeys != 0) {
			err = fmt.Errorf("watchdoginfo of %s: %s", p.t.VNode, quote(b))
		}
		return err
	}}
}

func role() check {
	roles := []string{"node\n", "virthost\n", "delaynode\n", "sharedhost\n", "subboss\n", "storagehost\n"}
	return says(host("VERSION=40 role "), roles...)
}

func gzipMaps() check {
	return check{0, func(p *probe) error {
		seen := 0
		for _, command := range []string{"topomap", "ltmap", "ltpmap"} {
			b, err := p.ask(host("VERSION=40 " + command + " "))
			if err != nil {
				return err
			}
			if b == "" {
				continue
			}
			seen++
			if !strings.HasPrefix(b, "\x1f\x8b") {
				return fmt.Errorf("%s: %s is no gzip", command, quote(b))
			}
		}
		if seen == 0 {
			return missingf("the experiment has no topology maps")
		}
		return nil
	}}
}

func geniReplies() check {
	return check{0, func(p *probe) error {
		var errs []error
		for _, c := range protocol.Commands() {
			// Two send memory of the original's where there are no rows (spec §8).
			if !strings.HasPrefix(c.Name, "geni_") || c.Name == "geni_slice_email" || c.Name == "geni_control_mac" {
				continue
			}
			b, err := p.ask(host("VERSION=40 " + c.Name + " "))
			if err != nil {
				return err
			}
			if _, err := protocol.ParseGENI([]byte(b)); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w in %s", c.Name, err, quote(b)))
			}
		}
		return errors.Join(errs...)
	}}
}

// bareAliases counts the lines that have a node's own name: one for each node.
func bareAliases() check {
	return check{NeedVNode, func(p *probe) error {
		b, err := p.ask(host("VNODEID={vnode} VERSION=40 hostnames "))
		if err != nil {
			return err
		}
		names, err := protocol.ParseHostNames([]byte(b))
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return missingf("hostnames of %s is empty", p.t.VNode)
		}
		bare := map[string]int{}
		for _, n := range names {
			if len(n.Aliases) == 0 {
				return fmt.Errorf("NAME=%s has no alias", n.Name)
			}
			node := n.Aliases[0][:max(strings.LastIndexByte(n.Aliases[0], '-'), 0)]
			bare[node] += len(n.Aliases) - 1
		}
		for node, count := range bare {
			if count != 1 {
				return fmt.Errorf("%d lines have the bare alias %q, want one", count, node)
			}
		}
		return nil
	}}
}
