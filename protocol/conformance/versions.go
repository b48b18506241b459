package conformance

import (
	"errors"
	"fmt"
	"strings"

	"emujail/protocol"
)

// step of a format: a version that changed it, so that it is asked in that one and
// in the one before.
type formatSteps struct {
	id, command string
	versions    []int
	rule        string
}

// versionRows are spec §6, "steps": what a node of an older version is told is
// today's reply without what came later.
func versionRows() []Row {
	steps := []formatSteps{
		{"6/60", "creator", []int{21}, "SWAPPER= from version 21"},
		{"6/61", "ifconfig", []int{8, 10, 11, 14, 15, 16, 17, 18, 20, 26, 27, 40}, "words and lines as they came from version 8 to 40"},
		{"6/62", "hostnames", []int{2, 3}, "version 2 alone has LINK= and ALIAS="},
		{"6/63", "rpms", []int{36, 37}, "SERVER= from version 36, USEWEB= from 37"},
		{"6/64", "tarballs", []int{36, 37}, "SERVER= from version 36, USEWEB= from 37"},
		{"6/65", "blobs", []int{33}, "none before version 33"},
		{"6/66", "mounts", []int{32}, "FSTYPE= from version 32, local directories too"},
		{"6/67", "programs", []int{13, 23}, "COMMAND= from version 13, DIR= and the like from 23"},
		{"6/68", "routing", []int{12, 19}, "SRC= from version 12; from 19 none for type static"},
		{"6/69", "routelist", []int{12}, "SRC= from version 12"},
		{"6/70", "vnodelist", []int{7}, "JAILED= from version 7"},
		{"6/71", "bootwhat", []int{35}, "FLAGS= from version 35"},
		{"6/72", "jailconfig", []int{39}, "the image's version from version 39"},
		{"6/73", "watchdoginfo", []int{29}, "SETROOTPSWD= from version 29"},
		{"6/74", "firewallinfo", []int{25, 26, 34}, "HOST lines from version 25, MAC= from 26, SERVER from 34"},
		{"6/75", "imageinfo", []int{39}, "in every version from 39"},
		{"6/76", "status", []int{2, 21}, "in every version the same"},
	}
	var rows []Row
	for _, s := range steps {
		rows = append(rows, Row{ID: s.id, Rule: s.command + ": " + s.rule, check: olderVersions(s.command, s.versions)})
	}
	return append(rows, Row{ID: "6/77", Rule: "accounts: quotes and SERIAL= from version 5, EMAIL= from 9, SHELL= from 10, keys from 5",
		check: olderAccounts()})
}

// olderVersions renders today's reply for older versions and compares.
func olderVersions(command string, steps []int) check {
	return check{0, func(p *probe) error {
		seen := 0
		var errs []error
		for _, a := range p.askers(whom{}) {
			tags := a.q.text
			a.q.text = tags + "VERSION=40 " + command + " "
			b, err := p.ask(a.q)
			if err != nil {
				return err
			}
			if b == "" {
				continue
			}
			seen++
			today, err := protocol.ParseReply(command, []byte(b))
			if err != nil {
				return fmt.Errorf("%v: %w", a.q, err)
			}
			for _, v := range around(steps) {
				a.q.text = fmt.Sprintf("%sVERSION=%d %s ", tags, v, command)
				errs = append(errs, p.older(a.q, today, command, v))
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

// around are the versions of the steps and those just before them.
func around(steps []int) (list []int) {
	for _, v := range steps {
		if v > 1 && (len(list) == 0 || list[len(list)-1] != v-1) {
			list = append(list, v-1)
		}
		list = append(list, v)
	}
	return list
}

// older compares one reply with today's, rendered for the version. Random words are
// left out, and the routes of a type that computes them itself today.
func (p *probe) older(q question, today protocol.Reply, command string, v int) error {
	b, err := p.ask(q)
	if err != nil {
		return err
	}
	if r, ok := today.(protocol.Routing); ok && v < 19 && r.Type == "static" {
		return nil
	}
	if want := string(today.Append(nil, v)); !sameLines(mask(b), mask(want)) {
		return fmt.Errorf("%s in version %d: %s, want %s", command, v, quote(b), quote(want))
	}
	return nil
}

// olderAccounts looks for words. It writes, as accounts does.
func olderAccounts() check {
	return check{NeedWrite, func(p *probe) error {
		lines := func(v int) (string, error) { return p.some(host(fmt.Sprintf("VERSION=%d accounts ", v))) }
		words := []struct {
			version int
			word    string
			want    bool
		}{
			{3, "GLIST=\"", false}, {3, "SERIAL=", false}, {5, "SERIAL=", true}, {8, "EMAIL=", false},
			{9, "EMAIL=", true}, {9, "SHELL=", false}, {10, "SHELL=", true}, {40, "GLIST=\"", true},
		}
		var errs []error
		for _, w := range words {
			b, err := lines(w.version)
			if err != nil {
				return err
			}
			if !strings.Contains(b, "ADDUSER ") {
				return missingf("accounts has no user")
			}
			if strings.Contains(b, w.word) != w.want {
				errs = append(errs, fmt.Errorf("version %d: %s is there: %v, want %v", w.version, w.word, !w.want, w.want))
			}
		}
		return errors.Join(errs...)
	}}
}
