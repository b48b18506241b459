package conformance

import (
	"errors"
	"fmt"
	"strings"

	"emujail/protocol"
)

// writeRows are spec §7: what nodes report. Only some of it can be read back over
// the wire; of the rest a row sees that it is taken in silence. All need leave to
// write.
func writeRows() []Row {
	// A report is taken, and the server answers the next.
	quiet := func(tags string, reports ...string) check {
		var list []question
		for _, r := range reports {
			list = append(list, host(tags+"VERSION=40 "+r))
		}
		return silent(host(tags+nodeid), list...)
	}
	const vnode = "VNODEID={vnode} "
	both := func(reports ...string) check { return all(quiet("", reports...), quiet(vnode, reports...)) }
	return []Row{
		{ID: "7/1", Rule: "state is taken in silence", check: both("state ISUP ")},
		{ID: "7/2", Rule: "state takes the first word only, and no other characters than letters, digits, _ and -",
			check: both("state ISUP extra words ", "state BAD;NAME ")},
		{ID: "7/3", Rule: "startstatus is taken in silence", check: both("startstatus 0 ", "startstatus 7xyz ")},
		{ID: "7/4", Rule: "startstat is taken in silence", check: both("startstat 0 ")},
		{ID: "7/5", Rule: "bootlog of several lines is taken in silence", check: both("bootlog 'one' text\nline two\n")},
		{ID: "7/6", Rule: "a bootlog of 30,000 bytes is taken", check: both("bootlog " + strings.Repeat("0123456789abcde\n", 1875))},
		{ID: "7/7", Rule: "booterrno is taken in silence", check: both("booterrno 0 ")},
		{ID: "7/8", Rule: "hostinfo is taken in silence", check: both("hostinfo CDVERSION=1-b ")},
		{ID: "7/9", Rule: "hostkeys are taken in silence", check: both("hostkeys SSH_HOST_RSA_KEY='ssh-rsa AAAA root@x' ")},
		{ID: "7/10", Rule: "ntpdrift is taken in silence", check: quiet("", "ntpdrift 1.5 ", "ntpdrift abc ")},
		{ID: "7/11", Rule: "elvindport is taken in silence", check: both("elvindport 2917 ")},
		{ID: "7/12", Rule: "battery is answered OK, and only what can be true",
			check: all(says(host("VERSION=40 battery CAPACITY=50 VOLTAGE=12.5 "), "OK\n"),
				silent(host(nodeid), host("VERSION=40 battery CAPACITY=101 VOLTAGE=12 "), host("VERSION=40 battery CAPACITY=50 VOLTAGE=4.9 ")))},
		{ID: "7/13", Rule: "isalive is answered UPDATE=0 or 1", check: says(host("VERSION=40 isalive "), "UPDATE=0\n", "UPDATE=1\n")},
		{ID: "7/14", Rule: "isalive over UDP is answered the same", check: same(host("VERSION=40 isalive "), host("VERSION=40 isalive ").over(udp))},
		{ID: "7/15", Rule: "rusage is answered UPDATE=n", check: updates(host("VERSION=40 rusage LA1=0.10 LA5=0.20 LA15=0.30 DUSED=45.5 "))},
		{ID: "7/16", Rule: "rusage wants all four figures", check: silent(host(nodeid), host("VERSION=40 rusage LA1=0.10 LA5=0.20 "))},
		{ID: "7/17", Rule: "portregister: what is registered is told, with the node's full name", check: registers()},
		{ID: "7/18", Rule: "portregister: port 0 takes it back", check: unregisters()},
		{ID: "7/19", Rule: "accounts lowers the counter of updates, down to 0", check: lowers()},
		{ID: "7/20", Rule: "accounts: ADDGROUP lines, then ADDUSER and PUBKEY lines, read and written again",
			check: replies40(host("VERSION=40 accounts "), host(vnode+"VERSION=40 accounts "), host("PROXYFOR={vnode} VERSION=40 accounts "))},
		{ID: "7/21", Rule: "accounts pubkeys: the keys too", check: replies40(host(vnode + "VERSION=40 accounts pubkeys "))},
		{ID: "7/22", Rule: "ipodinfo: HOST= MASK= HASH=, a new hash each time", check: fresh("ipodinfo")},
		{ID: "7/23", Rule: "rootpswd: HASH=$1$…, a new salt each time", check: fresh("rootpswd")},
		{ID: "7/24", Rule: "ready counts a host, and never a vnode", check: readies()},
		{ID: "7/25", Rule: "loadinfo: lines of images, or nothing", check: loads()},
		{ID: "7/26", Rule: "reports by PROXYFOR are taken as by VNODEID", check: quiet("PROXYFOR={vnode} ", "state ISUP ", "bootlog hello ", "startstatus 0 ")},
		{ID: "7/27", Rule: "a stranger's reports are taken as little as its questions are answered",
			check: silent(host(nodeid), host("VERSION=40 isalive ").by(asStranger), host("VERSION=40 battery CAPACITY=50 VOLTAGE=12.5 ").by(asStranger))},
		{ID: "7/28", Rule: "a report in pieces is one report", check: reportInPieces()},
	}
}

// replies40 reads replies of version 40 that must be there.
func replies40(questions ...question) check {
	return check{needsOf(questions...), func(p *probe) error {
		var errs []error
		for _, q := range questions {
			b, err := p.some(q)
			if err != nil {
				return err
			}
			_, err = read("accounts", b, protocol.Version)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}}
}

// update is the figure of a reply UPDATE=n.
func (p *probe) update(q question) (int, error) {
	b, err := p.some(q)
	if err != nil {
		return 0, err
	}
	u, err := protocol.ParseUpdate([]byte(b))
	return u.Update, err
}

func updates(q question) check {
	return check{needsOf(q), func(p *probe) error {
		_, err := p.update(q)
		return err
	}}
}

// service is a name that no experiment uses.
const service = "conformance-check"

func (p *probe) register(port string) error {
	return p.none(host("VERSION=40 portregister " + service + " " + port + " "))
}

func registers() check {
	return check{NeedWrite, func(p *probe) (err error) {
		defer func() { err = errors.Join(err, p.register("0")) }()
		if err := p.register("4321"); err != nil {
			return err
		}
		b, err := p.some(host("VERSION=40 portregister " + service + " "))
		if err != nil {
			return err
		}
		r, err := protocol.ParsePortRegistration([]byte(b))
		if err == nil && (r.Port != 4321 || !strings.HasPrefix(r.NodeID, p.t.Node+".")) {
			err = fmt.Errorf("registered port 4321 of %s, told %s", p.t.Node, quote(b))
		}
		return err
	}}
}

func unregisters() check {
	return check{NeedWrite, func(p *probe) error {
		if err := p.register("4321"); err != nil {
			return err
		}
		if _, err := p.some(host("VERSION=40 portregister " + service + " ")); err != nil {
			return err
		}
		if err := p.register("0"); err != nil {
			return err
		}
		return p.none(host("VERSION=40 portregister " + service + " "))
	}}
}

// lowers asks for accounts and looks at the counter before and after.
func lowers() check {
	return check{NeedWrite, func(p *probe) error {
		count := host("VERSION=40 rusage LA1=0.10 LA5=0.20 LA15=0.30 DUSED=45.5 ")
		for range 20 {
			before, err := p.update(count)
			if err != nil {
				return err
			}
			if _, err := p.some(host("VERSION=40 accounts ")); err != nil {
				return err
			}
			after, err := p.update(count)
			if err != nil {
				return err
			}
			if after != max(before-1, 0) {
				return fmt.Errorf("UPDATE=%d, then accounts, then UPDATE=%d", before, after)
			}
			if after == 0 {
				break
			}
		}
		return nil
	}}
}

// fresh wants two replies that read well and differ.
func fresh(command string) check {
	q := host("VERSION=40 " + command + " ")
	return check{needsOf(q), func(p *probe) error {
		var seen [2]string
		for i := range seen {
			b, err := p.some(q)
			if err != nil {
				return err
			}
			if _, err := read(command, b, protocol.Version); err != nil {
				return err
			}
			seen[i] = b
		}
		if seen[0] == seen[1] {
			return fmt.Errorf("twice %s", quote(seen[0]))
		}
		return nil
	}}
}

// readies reports the host ready, then a vnode: only the first may count.
func readies() check {
	return check{NeedWrite | NeedVNode, func(p *probe) error {
		count := func() (protocol.ReadyCount, error) {
			b, err := p.some(host("VERSION=40 readycount "))
			if err != nil {
				return protocol.ReadyCount{}, err
			}
			return protocol.ParseReadyCount([]byte(b))
		}
		if err := p.none(host("VERSION=40 ready ")); err != nil {
			return err
		}
		with, err := count()
		if err != nil {
			return err
		}
		if with.Ready == 0 {
			return errors.New("ready, then READY=0")
		}
		if err := p.none(host("VNODEID={vnode} VERSION=40 ready ")); err != nil {
			return err
		}
		after, err := count()
		if err == nil && after.Ready != with.Ready {
			err = fmt.Errorf("READY=%d before a vnode's ready, %d after", with.Ready, after.Ready)
		}
		return err
	}}
}

func loads() check {
	return check{NeedWrite, func(p *probe) error {
		seen := 0
		for _, a := range p.askers(whom{}) {
			a.q.text += "VERSION=40 loadinfo "
			b, err := p.ask(a.q)
			if err != nil {
				return err
			}
			if b == "" {
				continue
			}
			seen++
			if _, err := read("loadinfo", b, protocol.Version); err != nil {
				return err
			}
		}
		if seen == 0 {
			return missingf("nobody who was asked is being loaded")
		}
		return nil
	}}
}

// reportInPieces sends a registration whose arguments come later.
func reportInPieces() check {
	return check{NeedWrite, func(p *probe) (err error) {
		defer func() { err = errors.Join(err, p.register("0")) }()
		s, err := p.converse(host(""), false, step{"VERSION=40 portregister ", segment}, step{service + " 43", segment}, step{"22 ", 0})
		if err != nil {
			return err
		}
		if s.text != "" {
			return fmt.Errorf("%s, want silence", quote(s.text))
		}
		b, err := p.some(host("VERSION=40 portregister " + service + " "))
		if err == nil && !strings.HasPrefix(b, "PORT=4322 ") {
			err = fmt.Errorf("registered 43|22 in pieces, told %s", quote(b))
		}
		return err
	}}
}
