package recorded

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"emujail/protocol"
)

// Equal reports whether a reply is the recorded one, order of lines aside
// where it means nothing.
func (r *Record) Equal(got []byte) bool {
	return bytes.Equal(canonical(r.command(), r.Reply), canonical(r.command(), got))
}

// SameEnd reports whether an exchange ended as the recorded one. eof, reset
// and epipe are one class: which one a client sees depends on what was unread.
func (r *Record) SameEnd(end string) bool { return endClass(r.End) == endClass(end) }

func endClass(end string) string {
	switch end {
	case "reset", "epipe":
		return "eof"
	}
	return end
}

// command is what the request asks, by its name in the table, or "".
func (r *Record) command() string {
	req, _ := protocol.ParseRequest(r.Request()) // one that can't be read asks nothing
	return req.Command
}

// canonical puts lines whose order means nothing in order.
func canonical(command string, reply []byte) []byte {
	if command == "fullconfig" {
		return canonicalBlocks(reply)
	}
	var movable func(line string) bool
	switch command {
	case "ifconfig", "tunnels", "trafgens", "programs", "routing", "routelist":
		movable = func(string) bool { return true }
	case "mounts":
		movable = func(line string) bool { return strings.Contains(line, "LOCAL=/users/") }
	case "hwinfo":
		movable = func(line string) bool { return strings.HasPrefix(line, "NETUNIT ") }
	default:
		return reply
	}
	lines := strings.SplitAfter(string(reply), "\n")
	var places []int
	var values []string
	for i, l := range lines {
		if l != "" && movable(l) {
			places = append(places, i)
			values = append(values, l)
		}
	}
	slices.Sort(values)
	for i, p := range places {
		lines[p] = values[i]
	}
	return []byte(strings.Join(lines, ""))
}

// canonicalBlocks goes by the rule of each block's command; blocks keep their
// order.
func canonicalBlocks(reply []byte) []byte {
	blocks, err := protocol.SplitFullConfig(reply)
	if err != nil {
		return reply
	}
	var out []byte
	for _, b := range blocks {
		out = fmt.Appendf(out, "*** %s\n%s*** %s\n", b.Command, canonical(b.Command, b.Body), b.Command)
	}
	return out
}

// Diff shows what differs, a line each: - is recorded, + is what came.
func (r *Record) Diff(got []byte) string {
	want := strings.SplitAfter(string(canonical(r.command(), r.Reply)), "\n")
	have := strings.SplitAfter(string(canonical(r.command(), got)), "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s from %s: %.120q\n", r.ID, r.Transport, r.Source, r.Request())
	for len(want) > 0 && len(have) > 0 && want[0] == have[0] {
		want, have = want[1:], have[1:]
	}
	for len(want) > 0 && len(have) > 0 && want[len(want)-1] == have[len(have)-1] {
		want, have = want[:len(want)-1], have[:len(have)-1]
	}
	show(&b, "-", want)
	show(&b, "+", have)
	return b.String()
}

// show prints lines with control characters made visible, a dozen at most.
func show(b *strings.Builder, sign string, lines []string) {
	const most = 12
	for i, l := range lines {
		if i == most {
			fmt.Fprintf(b, "  %s … %d more\n", sign, len(lines)-most)
			return
		}
		if l == "" {
			continue
		}
		fmt.Fprintf(b, "  %s %.400q\n", sign, l)
	}
}
