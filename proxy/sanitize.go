package proxy

import (
	"bytes"
	"strconv"

	"emujail/protocol"
)

// maxHead bounds tags and command. The longest honest head is some 40 bytes;
// whoever sends more is refused, not cut.
const maxHead = 4096

// maxRaw bounds what is read of a request before it is known what will be sent
// on of it: a head, and all that tmcd takes.
const maxRaw = maxHead + protocol.MaxRequest

// maxStripped bounds the names of dropped tags that one audit line shows.
const maxStripped = 8

// Why a request is refused before anybody looked at its command.
const (
	errControl   = refusal("control character before the command's end")
	errEmptyWord = refusal("two spaces before the command, or one at the start")
	errLongHead  = refusal("no command in the first 4096 bytes")
	errNoCommand = refusal("no command")
	errUnknown   = refusal("unknown command")
	errTooBig    = refusal("request too big")
)

// bossinfo is no command of tmcd's table. Clients answer it themselves, and so
// does the proxy.
const bossinfo = "bossinfo"

// A request is what the proxy understood, all of it: what is sent on is
// rendered from these fields and nothing else (docs/design.md §3, decision 2).
type request struct {
	version  int // 0: the caller gave none
	useUDP   bool
	command  string   // canonical, by tmcd's own prefix rule; or bossinfo
	stripped []string // names of tags taken out, at most maxStripped
	spoofs   int      // how many were taken out
	args     []byte   // what follows the space after the command, byte for byte
}

// parse reads raw as tmcd does: words split at single spaces, tags before the
// command only. Of the tags VERSION=<number> and USEUDP=1 pass; any other word
// with a "=" that isn't a command by tmcd's rule is dropped and counted.
//
// whole says that nothing more will come. Without it, done is false while the
// head might still go on; an error is final in any case.
func parse(raw []byte, whole bool) (r request, done bool, err error) {
	for rest := raw; ; {
		word, after, ended := bytes.Cut(rest[:min(len(rest), maxHead)], []byte{' '})
		if err := checkWord(word, len(raw)-len(rest)+len(word), ended || whole); err != nil {
			return r, false, err
		}
		if !ended && !whole {
			return r, false, nil
		}
		if ended {
			after = rest[len(word)+1:]
		}
		if !r.tag(word) {
			r.command, err = commandOf(word)
			r.args = after
			return r, err == nil, err
		}
		if !ended {
			return r, false, errNoCommand
		}
		if len(after) == 0 {
			return r, false, ifWhole(whole, errNoCommand)
		}
		rest = after
	}
}

// ifWhole is err once nothing more can come.
func ifWhole(whole bool, err error) error {
	if whole {
		return err
	}
	return nil
}

// checkWord refuses what no honest client writes before or in a command. end is
// how far from the start of the request the word reaches.
func checkWord(word []byte, end int, complete bool) error {
	for _, c := range word {
		if c < 0x21 || c > 0x7e {
			return errControl
		}
	}
	if end >= maxHead {
		return errLongHead
	}
	if len(word) == 0 && complete {
		return errEmptyWord
	}
	return nil
}

// tag takes word in if it is a tag, and reports whether it was one.
func (r *request) tag(word []byte) bool {
	name, value, ok := bytes.Cut(word, []byte{'='})
	if !ok || len(name) == 0 {
		return false
	}
	switch string(name) {
	case "VERSION":
		if n, ok := number(value); ok {
			r.version = n
			return true
		}
	case "USEUDP":
		if string(value) == "1" {
			r.useUDP = true
			return true
		}
	}
	if _, ok := protocol.Lookup(string(word)); ok {
		return false // tmcd takes it for the command, whatever follows the "="
	}
	r.spoofs++
	if len(r.stripped) < maxStripped {
		// The name alone: values may be keys.
		r.stripped = append(r.stripped, string(name[:min(len(name), protocol.MaxNodeID)]))
	}
	return true
}

// number reads a version: one to six digits, not zero.
func number(value []byte) (int, bool) {
	if len(value) == 0 || len(value) > 6 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(string(value))
	return n, err == nil && n > 0
}

// commandOf finds the canonical name of the command that tmcd would run.
func commandOf(word []byte) (string, error) {
	if c, ok := protocol.Lookup(string(word)); ok {
		return c.Name, nil
	}
	if string(word) == bossinfo {
		return bossinfo, nil
	}
	return "", errUnknown
}

// stamp makes the request that tmcd gets: the jail's name, and what was
// understood. One space always follows the command, as the original client
// writes it; without it many of the original server's commands crash.
func (r request) stamp(vnode, privKey string) protocol.Request {
	return protocol.Request{
		Version: r.version, ProxyFor: vnode, PrivKey: privKey,
		Command: r.command, Args: r.args, HasArgs: true,
	}
}
