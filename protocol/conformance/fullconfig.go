package conformance

import (
	"errors"
	"fmt"
	"slices"

	"emujail/protocol"
)

// fullconfigRows are spec §6, fullconfig. It runs accounts and ipodinfo, so all of
// them write.
func fullconfigRows() []Row {
	phys, vnode, proxied := host("VERSION=40 fullconfig "), host("VNODEID={vnode} VERSION=40 fullconfig "), host("PROXYFOR={vnode} VERSION=40 fullconfig ")
	return []Row{
		{ID: "6/90", Rule: "fullconfig: each block is *** name, the reply, and *** name again", check: blocks(phys, framed)},
		{ID: "6/91", Rule: "fullconfig of a host has the blocks of PHYS and ALL, in the table's order", check: blocks(phys, rightBlocks(false))},
		{ID: "6/92", Rule: "fullconfig of a vnode has the blocks of VIRT and ALL, in the table's order", check: blocks(vnode, rightBlocks(true))},
		{ID: "6/93", Rule: "fullconfig of a proxied vnode has the same blocks", check: blocks(proxied, rightBlocks(true))},
		{ID: "6/94", Rule: "a block of a host's is what the command answers alone", check: blocks(phys, likeAlone)},
		{ID: "6/95", Rule: "a block of a vnode's is what the command answers alone", check: blocks(vnode, likeAlone)},
		{ID: "6/96", Rule: "a block of a proxied vnode's is what the command answers alone", check: blocks(proxied, likeAlone)},
		{ID: "6/97", Rule: "fullconfig of a remote host without TLS leaves out keyhash, eventkey and accounts",
			check: blocks(host("VERSION=40 fullconfig ").by(asRemote), noSecrets)},
		{ID: "6/98", Rule: "fullconfig of a remote host over TLS has them",
			check: blocks(host("VERSION=40 fullconfig ").by(asRemote).over(overTL), rightBlocks(false))},
		{ID: "6/99", Rule: "fullconfig is answered over TLS as over TCP", check: blocks(phys.over(overTL), rightBlocks(false))},
	}
}

// blocks asks for a fullconfig and judges its parts.
func blocks(q question, judge func(*probe, question, []protocol.Block) error) check {
	return check{needsOf(q), func(p *probe) error {
		b, err := p.some(q)
		if err != nil {
			return err
		}
		list, err := protocol.SplitFullConfig([]byte(b))
		if err != nil {
			return fmt.Errorf("%v: %w", q, err)
		}
		if string(protocol.AppendFullConfig(nil, list)) != b {
			return fmt.Errorf("%v: there is something between its blocks", q)
		}
		return judge(p, q, list)
	}}
}

func framed(_ *probe, q question, list []protocol.Block) error {
	if len(list) == 0 {
		return fmt.Errorf("%v: no block", q)
	}
	var names []string
	for _, b := range list {
		if slices.Contains(names, b.Command) {
			return fmt.Errorf("%v: two blocks %s", q, b.Command)
		}
		names = append(names, b.Command)
	}
	return nil
}

func rightBlocks(vnode bool) func(*probe, question, []protocol.Block) error {
	return func(_ *probe, q question, list []protocol.Block) error {
		var want, got []string
		for _, c := range protocol.Commands() {
			if c.Scope.Sent(vnode) && !c.Flags.Has(protocol.ReqTPM) {
				want = append(want, c.Name)
			}
		}
		for _, b := range list {
			got = append(got, b.Command)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%v: blocks %v, want %v", q, got, want)
		}
		return nil
	}
}

// likeAlone asks each block's command by itself. What is new each time is left out.
func likeAlone(p *probe, q question, list []protocol.Block) error {
	var errs []error
	for _, b := range list {
		alone := q
		alone.text = q.text[:len(q.text)-len("fullconfig ")] + b.Command + " "
		reply, err := p.ask(alone)
		if err != nil {
			return err
		}
		if b.Command == "ipodinfo" {
			continue
		}
		if !sameLines(mask(reply), mask(string(b.Body))) {
			errs = append(errs, fmt.Errorf("block %s is %s, alone it is %s", b.Command, quote(string(b.Body)), quote(reply)))
		}
	}
	return errors.Join(errs...)
}

func noSecrets(_ *probe, q question, list []protocol.Block) error {
	for _, b := range list {
		if slices.Contains([]string{"accounts", "keyhash", "eventkey"}, b.Command) {
			return fmt.Errorf("%v: it has a block %s", q, b.Command)
		}
	}
	return nil
}
