package conformance

import (
	"errors"
	"fmt"
	"strings"

	"emujail/protocol"
)

func grammarRows() []Row {
	q := host(nodeid)
	vnode := host("VNODEID={vnode} VERSION=40 nodeid ")
	return []Row{
		{ID: "2/1", Rule: "tags come in any order", check: same(vnode, host("VERSION=40 VNODEID={vnode} nodeid "))},
		{ID: "2/2", Rule: "tags end at the command: later ones are arguments",
			check: same(q, host("VERSION=40 nodeid VNODEID={vnode} "), host("nodeid VERSION=40 "))},
		{ID: "2/3", Rule: "two spaces before the command kill the request", check: silent(q, host("VERSION=40  nodeid "))},
		{ID: "2/4", Rule: "a space before all kills the request", check: silent(q, host(" VERSION=40 nodeid "), host(" nodeid "))},
		{ID: "2/5", Rule: "two spaces after the command are part of its arguments", check: same(q, host("VERSION=40 nodeid  x "))},
		{ID: "2/6", Rule: "without VERSION a request is of version 2", check: same(host("VERSION=2 creator "), host("creator "))},
		{ID: "2/7", Rule: "VERSION=word is a command, an unknown one", check: silent(q, host("VERSION=abc nodeid "))},
		{ID: "2/8", Rule: "a newer VERSION than the server's is answered as its newest", check: same(host("VERSION=40 creator "), host("VERSION=99 creator "))},
		{ID: "2/9", Rule: "of a repeated VNODEID the last counts",
			check: same(host("VNODEID={sibling} VERSION=40 nodeid "), host("VNODEID={vnode} VNODEID={sibling} VERSION=40 nodeid "))},
		{ID: "2/10", Rule: "of a repeated VERSION the last counts",
			check: same(host("VERSION=20 creator "), host("VERSION=40 VERSION=20 creator "))},
		{ID: "2/11", Rule: "a tag in lower case is a command, an unknown one", check: silent(vnode, host("vnodeid={vnode} VERSION=40 nodeid "))},
		{ID: "2/12", Rule: "USEUDP=1 is for proxies: here it is an unknown command", check: silent(q, host("USEUDP=1 VERSION=40 nodeid "))},
		{ID: "2/13", Rule: "an unknown tag is an unknown command", check: silent(q, host("COLOUR=red VERSION=40 nodeid "))},
		{ID: "2/14", Rule: "a node id with other characters than letters, digits, _ and - drops the request",
			check: silent(vnode, host("VNODEID=pc.1 VERSION=40 nodeid "), host("VNODEID=pc/1 VERSION=40 nodeid "), host("VNODEID=pc'1 VERSION=40 nodeid "))},
		{ID: "2/15", Rule: "commands are in lower case", check: silent(q, host("VERSION=40 NODEID "), host("VERSION=40 Nodeid "))},
		{ID: "2/16", Rule: "the beginning of a command is no command", check: silent(q, host("VERSION=40 nodei "), host("VERSION=40 stat "))},
		{ID: "2/17", Rule: "the table decides: readycount comes before ready",
			check: all(answered(host("VERSION=40 readycount ")), same(host("VERSION=40 readycount "), host("VERSION=40 readycount x ")))},
		{ID: "2/18", Rule: "what begins with geni_ and matches nothing is geni_invalid, which says so",
			check: says(host("VERSION=40 geni_nosuch "), "\x00\x00unknown request\n")},
		{ID: "2/19", Rule: "bossinfo is the client's own word: unknown here", check: silent(q, host("VERSION=40 bossinfo "))},
		{ID: "2/20", Rule: "a command without the space after it is answered, where the original can",
			check: all(same(host("VERSION=40 status "), host("VERSION=40 status")), same(q, host("VERSION=40 nodeid")))},
		{ID: "2/21", Rule: "a line end is no separator: words are split at spaces", check: silent(q, host("VERSION=40\nnodeid "))},
		{ID: "2/22", Rule: "tags without a command get nothing", check: silent(q, host("VERSION=40 "), host("VNODEID={vnode} VERSION=40 "))},
		{ID: "2/23", Rule: "arguments that a command doesn't take are passed over",
			check: same(host("VERSION=40 status "), host("VERSION=40 status "+strings.Repeat("a ", 100)))},
		{ID: "2/24", Rule: "a word before the tags is the command: what follows are arguments", check: silent(q, host("I VERSION=40 nodeid "))},
		{ID: "2/25", Rule: "a PRIVKEY of less than 16 digits drops the request", check: silent(q, host("PRIVKEY=0123456789abcde VERSION=40 nodeid "))},
		{ID: "2/26", Rule: "a PRIVKEY that isn't hexadecimal drops the request", check: silent(q, host("PRIVKEY=0123456789abcdeg0123 VERSION=40 nodeid "))},
		{ID: "2/27", Rule: "an IDKEY that isn't alphanumeric drops the request", check: silent(q, host("IDKEY=ext-key VERSION=40 nodeid "))},
		{ID: "2/28", Rule: "every command of the table that only reads ends cleanly", check: wholeTable()},
	}
}

// wholeTable asks every command that changes nothing, once. imagesize without an
// image kills the original's child (spec §8).
func wholeTable() check {
	return check{0, func(p *probe) error {
		if _, err := p.some(host(nodeid)); err != nil {
			return err
		}
		var errs []error
		for _, c := range protocol.Commands() {
			q := host("VERSION=40 " + c.Name + " ")
			if writes(q.text) || c.Name == "imagesize" {
				continue
			}
			s, err := p.converse(q, false, step{send: q.text})
			if err == nil && s.reset {
				err = fmt.Errorf("%v: the connection was reset", q)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}}
}
