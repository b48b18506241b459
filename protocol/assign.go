package protocol

import (
	"net/netip"
	"strconv"
	"strings"
)

// assignments appends KEY=value lines that a shell could read.
type assignments struct{ dst []byte }

func (a *assignments) key(key string) *assignments {
	a.dst = append(a.dst, key...)
	a.dst = append(a.dst, '=')
	return a
}

// open and close put a value into double quotes.
func (a *assignments) open(key string) *assignments {
	a.key(key)
	a.dst = append(a.dst, '"')
	return a
}

func (a *assignments) close() {
	a.dst = append(a.dst, '"')
	a.line()
}

func (a *assignments) line() { a.dst = append(a.dst, '\n') }

// text appends s; a line end in it becomes a space, as in codec.value.
func (a *assignments) text(s string) *assignments {
	if strings.IndexByte(s, '\n') >= 0 {
		s = strings.ReplaceAll(s, "\n", " ")
	}
	a.dst = append(a.dst, s...)
	return a
}

func (a *assignments) int(n int) *assignments {
	a.dst = strconv.AppendInt(a.dst, int64(n), 10)
	return a
}

func (a *assignments) addr(addr netip.Addr) *assignments {
	a.dst = addr.AppendTo(a.dst)
	return a
}

func (a *assignments) addrs(all []netip.Addr) *assignments {
	for i, addr := range all {
		if i > 0 {
			a.dst = append(a.dst, ',')
		}
		a.addr(addr)
	}
	return a
}

// quoted and plain leave an empty value out.
func (a *assignments) quoted(key, value string) {
	if value != "" {
		a.open(key).text(value).close()
	}
}

func (a *assignments) plain(key, value string) {
	if value != "" {
		a.key(key).text(value).line()
	}
}

// flags appends the jail's permissions: all of them, or those that are set.
func (a *assignments) flags(j *JailConfig, all bool) {
	for _, key := range jailFlags {
		if set := *j.bool(key); all || set {
			a.key(key).int(int(b2i(set))).line()
		}
	}
}
