package conformance

import (
	"fmt"
	"strings"

	"emujail/protocol"
)

// strictRows are what the original merely tolerates, which old clients may lean on,
// and where it crashes or answers from memory (spec §8): there a sane answer is
// wanted, so the original itself fails those.
func strictRows() []Row {
	q := host(nodeid)
	vnode := host("VNODEID={vnode} VERSION=40 nodeid ")
	return []Row{
		{ID: "2/50", Strict: true, Rule: "a word that begins with a command is that command", check: all(
			same(q, host("VERSION=40 nodeidXYZ "), host("VERSION=40 nodeid;rm ")),
			same(host("VERSION=40 status "), host("VERSION=40 statusquo ")))},
		{ID: "2/51", Strict: true, Rule: "a line end after the command belongs to its word", check: same(host("VERSION=40 status "), host("VERSION=40 status\n"))},
		{ID: "2/52", Strict: true, Rule: "VERSION=40abc is 40", check: same(host("VERSION=40 creator "), host("VERSION=40abc creator "))},
		{ID: "2/53", Strict: true, Rule: "a negative VERSION is an old one", check: same(host("VERSION=2 creator "), host("VERSION=-5 creator "))},
		{ID: "2/54", Strict: true, Rule: "a tab after the command belongs to its word", check: same(q, host("VERSION=40 nodeid\tx "))},
		{ID: "1/70", Strict: true, Rule: "a request longer than 32,768 bytes is cut there; whatever the client sees of the answer, the server stays", check: tooLong()},
		{ID: "1/71", Strict: true, Rule: "a beginning of the TLS tag is taken for the tag", check: silent(q, host("ISPEAKS"), host("I"))},
		{ID: "8/1", Strict: true, Rule: "tags only, without a space at the end, get silence and no crash", check: calm("VERSION=40", "VNODEID={vnode}")},
		{ID: "8/2", Strict: true, Rule: "a tag without a value doesn't match with an earlier request's", check: all(
			answered(host("VNODEID={vnode} VERSION=40 nodeid ")), silent(vnode, host("VNODEID= VERSION=40 nodeid "), host("PROXYFOR= VERSION=40 nodeid ")))},
		{ID: "8/3", Strict: true, Rule: "PRIVKEY= doesn't authenticate with an earlier request's key",
			check: silent(host("PRIVKEY={privkey} VERSION=40 nodeid "), host("PRIVKEY= VERSION=40 nodeid ").by(asStranger))},
		{ID: "8/4", Strict: true, Rule: "a beginning of a tag is no tag", check: silent(q, host("P VERSION=40 nodeid "), host("VNODE nodeid "), host("VERSI nodeid "))},
		{ID: "8/5", Strict: true, Rule: "a free node is answered FREE", check: says(host("VERSION=40 status ").by(asFree), "FREE\n")},
		{ID: "8/6", Strict: true, Rule: "a free node gets nothing that is for nodes of an experiment", check: silent(host("VERSION=40 nodeid ").by(asFree),
			host("VERSION=40 keyhash ").by(asFree), host("VERSION=40 creator ").by(asFree), host("VERSION=40 hostnames ").by(asFree))},
		{ID: "8/7", Strict: true, Rule: "imagesize of an unknown image is empty", check: calm("VERSION=40 imagesize nosuch/image ", "VERSION=40 imagesize ")},
		{ID: "8/8", Strict: true, Rule: "commands without the space after them are answered as with it", check: spaceless()},
		{ID: "8/9", Strict: true, Rule: "no reply holds (null)", check: noNull()},
		{ID: "8/10", Strict: true, Rule: "geni_slice_email and geni_control_mac without rows are empty, not memory", check: says(
			host("VERSION=40 geni_slice_email "), "\x00\n", "\x00\x00undefined parameter\n")},
		{ID: "8/11", Strict: true, Rule: "control bytes in the head get silence and no crash", check: calm("VERSION=40 \x00\x01\x02 ", "\x00", "VERSION=40 nodei\x00d ")},
		{ID: "8/12", Strict: true, Rule: "pnetnodeattrs without rows is empty", check: calm("VERSION=40 pnetnodeattrs ")},
	}
}

// calm wants silence for each, and answers afterwards.
func calm(requests ...string) check {
	var list []question
	for _, r := range requests {
		list = append(list, host(r))
	}
	return all(silent(host(nodeid), list...), answered(host(nodeid)))
}

// tooLong can't say what the client sees: the unread rest resets the connection,
// perhaps before the answer was read.
func tooLong() check {
	return check{0, func(p *probe) error {
		q := host(nodeid)
		want, err := p.some(q)
		if err != nil {
			return err
		}
		for range 3 {
			s, err := p.converse(q, false, step{nodeid, segment}, step{strings.Repeat("x", 2*protocol.MaxRequest), 0})
			if err != nil {
				return err
			}
			if s.text != "" {
				if err := samePieces(want, s); err != nil {
					return err
				}
			}
		}
		_, err = p.some(q)
		return err
	}}
}

// spaceless are commands that only read and crash the original's child.
func spaceless() check {
	return all(
		same(host("VERSION=40 tmcctest "), host("VERSION=40 tmcctest")),
		same(host("VERSION=40 geni_param "), host("VERSION=40 geni_param")))
}

func noNull() check {
	return check{0, func(p *probe) error {
		if _, err := p.some(host(nodeid)); err != nil {
			return err
		}
		for _, a := range p.askers(whom{}) {
			tags := a.q.text
			for _, command := range []string{"ifconfig", "emulabconfig", "manifest", "hostnames", "imageinfo", "delay"} {
				a.q.text = tags + "VERSION=40 " + command + " "
				b, err := p.ask(a.q)
				if err != nil {
					return err
				}
				if strings.Contains(b, "(null)") {
					return fmt.Errorf("%v: %s", a.q, quote(b))
				}
			}
		}
		return nil
	}}
}
