package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"emujail/protocol"
)

// proxiedRows are spec §5: what a host is told about a vnode, and what the vnode is
// told itself.
func proxiedRows() []Row {
	vnode := host("VNODEID={vnode} VERSION=40 nodeid ")
	asked := func(commands ...string) (list []question) {
		for _, c := range commands {
			list = append(list, host("VNODEID={vnode} VERSION=40 "+c+" "), host("PROXYFOR={vnode} VERSION=40 "+c+" "))
		}
		return list
	}
	phys := func(commands ...string) (list []question) {
		for _, c := range commands {
			list = append(list, host("VERSION=40 "+c+" "))
		}
		return list
	}
	return []Row{
		{ID: "5/1", Rule: "ifconfig by VNODEID: lines of veth, vlan and loop", check: interfaces("VNODEID", "veth", "vlan", "loop")},
		{ID: "5/2", Rule: "ifconfig by PROXYFOR: lines of any, gre and alias", check: interfaces("PROXYFOR", "any", "gre", "alias")},
		{ID: "5/3", Rule: "both tell the same addresses", check: sameAddresses()},
		{ID: "5/4", Rule: "tunnels are not for the vnode itself: their keys stay outside",
			check: silent(vnode, host("PROXYFOR={vnode} VERSION=40 tunnels "), host("PROXYFOR={vnode} VERSION=30 tunnels "))},
		{ID: "5/5", Rule: "firewallinfo tells a vnode TYPE=none", check: says(host("PROXYFOR={vnode} VERSION=40 firewallinfo "), "TYPE=none\n")},
		{ID: "5/6", Rule: "every other command tells both the same", check: sameBothWays()},
		{ID: "5/7", Rule: "vnodelist, subnodelist and hwinfo are empty for a vnode", check: silent(vnode, asked("vnodelist", "subnodelist", "hwinfo")...)},
		{ID: "5/8", Rule: "readycount is empty for a vnode", check: silent(vnode, asked("readycount")...)},
		{ID: "5/9", Rule: "jailconfig and plabconfig are empty for a physical node", check: silent(host(nodeid), phys("jailconfig", "plabconfig")...)},
		{ID: "5/10", Rule: "ntpinfo, localization, sdparams and role are no part of a vnode's fullconfig but are answered",
			check: all(answered(host("VNODEID={vnode} VERSION=40 ntpinfo ")), answered(host("VNODEID={vnode} VERSION=40 sdparams ")),
				answered(host("VNODEID={vnode} VERSION=40 role ")))},
	}
}

// interfaces wants only lines of these types.
func interfaces(tag string, types ...string) check {
	return check{NeedVNode, func(p *probe) error {
		found := 0
		for _, v := range p.vnodes() {
			b, err := p.ask(host(tag + "=" + v + " VERSION=40 ifconfig "))
			if err != nil {
				return err
			}
			config, err := protocol.ParseIfConfig([]byte(b))
			if err != nil {
				return fmt.Errorf("ifconfig of %s: %w", v, err)
			}
			for _, i := range config.Interfaces {
				found++
				if !slices.Contains(types, i.Type) {
					return fmt.Errorf("%s=%s ifconfig: IFACETYPE=%s, want one of %s", tag, v, i.Type, strings.Join(types, ", "))
				}
			}
		}
		if found == 0 {
			return missingf("no interfaces: %s", p.noAnswer("ifconfig"))
		}
		return nil
	}}
}

// vnodes are those that the target gives.
func (p *probe) vnodes() (list []string) {
	for _, v := range []string{p.t.VNode, p.t.Sibling} {
		if v != "" {
			list = append(list, v)
		}
	}
	return list
}

func sameAddresses() check {
	return check{NeedVNode, func(p *probe) error {
		outside, err := p.addresses("VNODEID")
		if err != nil {
			return err
		}
		inside, err := p.addresses("PROXYFOR")
		if err != nil {
			return err
		}
		if len(outside)+len(inside) == 0 {
			return missingf("no interfaces: %s", p.noAnswer("ifconfig"))
		}
		for _, a := range outside {
			if !slices.Contains(inside, a) {
				return fmt.Errorf("VNODEID tells of %s, PROXYFOR of %v only", a, inside)
			}
		}
		return nil
	}}
}

// addresses are those of the vnode's own interfaces: no gre line, no alias.
func (p *probe) addresses(tag string) (list []string, err error) {
	b, err := p.ask(host(tag + "={vnode} VERSION=40 ifconfig "))
	if err != nil {
		return nil, err
	}
	config, err := protocol.ParseIfConfig([]byte(b))
	for _, i := range config.Interfaces {
		if i.INET != "" && i.Type != "gre" && i.Type != "alias" {
			list = append(list, i.INET+"/"+i.Mask)
		}
	}
	return list, err
}

// sameBothWays compares all other commands that only read.
func sameBothWays() check {
	return check{NeedVNode, func(p *probe) error {
		var errs []error
		answers, different := 0, map[string]bool{}
		for _, c := range protocol.Commands() {
			text := "VERSION=40 " + c.Name + " "
			if writes(text) || slices.Contains([]string{"ifconfig", "tunnels", "firewallinfo", "tmcctest", "imagesize"}, c.Name) {
				continue
			}
			outside, err := p.ask(host("VNODEID={vnode} " + text))
			if err != nil {
				return err
			}
			inside, err := p.ask(host("PROXYFOR={vnode} " + text))
			if err != nil {
				return err
			}
			if outside != "" {
				answers++
				different[outside] = true
			}
			if !sameLines(mask(outside), mask(inside)) {
				errs = append(errs, fmt.Errorf("%s: by VNODEID %s, by PROXYFOR %s", c.Name, quote(outside), quote(inside)))
			}
		}
		if answers == 0 {
			return errors.New("no command is answered")
		}
		if answers > 1 && len(different) == 1 {
			return fmt.Errorf("%d commands have one answer", answers)
		}
		return errors.Join(errs...)
	}}
}

// mask takes out what is new in each reply: the salt of a hash.
func mask(reply string) string {
	var out strings.Builder
	for line := range strings.Lines(reply) {
		if before, _, found := strings.Cut(line, "$1$"); found && strings.HasPrefix(line, "ROOTHASH=") {
			line = before + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

// noAnswer says who was asked in vain.
func (p *probe) noAnswer(command string) string {
	return fmt.Sprintf("%s of %s is empty", command, strings.Join(p.vnodes(), " and "))
}
