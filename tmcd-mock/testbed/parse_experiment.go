package testbed

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

const timeForm = "2006-01-02 15:04:05"

func (r *reader) time(n ast.Node) string {
	s := r.text(n, "a time")
	if _, err := time.Parse(timeForm, s); err != nil {
		r.failAt(n, "expected a time like 2016-05-17 12:00:00 (UTC), not %q", s)
	}
	return s
}

func (r *reader) experiment(e entry) experiment {
	pid, eid := r.pair(e.at, e.key, "an experiment", "PROJECT/EXPERIMENT")
	x := experiment{line: lineOf(e.at), pid: pid, eid: eid}
	if eid != "" {
		r.name(e.at, eid, "an experiment id", "", 32)
	}
	r.object(e.val, "an experiment", []field{
		{"group", func(n ast.Node) { x.gid = r.text(n, "a group of the project") }},
		{"idx", func(n ast.Node) { x.idx = r.number(n, "the experiment's index", 1, math.MaxInt32) }},
		{"creator", func(n ast.Node) { x.creator, x.creatorLine = r.text(n, "a user"), lineOf(n) }},
		{"swapper", func(n ast.Node) { x.swapper, x.swapperLine = r.text(n, "a user"), lineOf(n) }},
		{"sync_server", func(n ast.Node) { x.syncServer = r.text(n, "a node's name") }},
		{"keyhash", func(n ast.Node) { x.keyHash = r.word(n, "the key's hash") }},
		{"eventkey", func(n ast.Node) { x.eventKey = r.word(n, "the event key") }},
		{"mounts", func(n ast.Node) { x.mounts = r.mounts(n) }},
		{"ports", func(n ast.Node) { x.ports = r.portRange(n) }},
		{"lans", func(n ast.Node) { each(r, n, "LANs", &x.lans, r.lan) }},
		{"programs", func(n ast.Node) { each(r, n, "programs", &x.programs, r.program) }},
		{"traffic", func(n ast.Node) { each(r, n, "traffic generators", &x.traffic, r.traffic) }},
		{"routes", func(n ast.Node) {
			for _, e := range r.entries(n, "routes by node") {
				for _, item := range r.items(e.val) {
					x.routes = append(x.routes, r.route(e.key, item))
				}
			}
		}},
		{"environment", func(n ast.Node) {
			for _, e := range r.entries(n, "variables") {
				x.environment = append(x.environment, attribute{e.key, r.text(e.val, "a value")})
			}
		}},
		{"blobs", func(n ast.Node) {
			for _, item := range r.items(n) {
				x.blobs = append(x.blobs, r.blob(item))
			}
		}},
		{"event_groups", func(n ast.Node) { each(r, n, "groups of objects", &x.eventGroups, r.eventGroup) }},
		{"schedule", func(n ast.Node) {
			for _, item := range r.items(n) {
				x.schedule = append(x.schedule, r.event(pid, eid, item))
			}
		}},
	})
	return x
}

func (r *reader) mounts(n ast.Node) string {
	return r.oneOf(n, "mounts", "emulabdefault", "all", "genidefault", "none")
}

func (r *reader) portRange(n ast.Node) [2]int {
	items := r.items(n)
	if len(items) != 2 {
		r.failAt(n, "expected ports as [lowest, highest], not %s", shown(n))
		return [2]int{}
	}
	low := r.number(items[0], "the lowest port", 1, 65535)
	return [2]int{low, r.number(items[1], "the highest port", low, 65535)}
}

// lanColumns are the columns of virt_lans that a LAN's columns: may set.
func lanColumns() []string {
	return []string{"delay", "bandwidth", "lossrate", "rdelay", "rbandwidth", "rlossrate", "cost", "protocol"}
}

func (r *reader) lan(e entry) lan {
	l := lan{line: lineOf(e.at), name: r.name(e.at, e.key, "a LAN's name", "", 32), mask: maskOf(24), kind: "veth"}
	r.object(e.val, "a LAN", []field{
		{"mask", func(n ast.Node) { l.mask = r.mask(n, "the LAN's mask") }},
		{"kind", func(n ast.Node) { l.kind = r.oneOf(n, "kind", "veth", "veth-ne", "vlan", "none") }},
		{"iface", func(n ast.Node) { l.iface = r.text(n, "the host's interface") }},
		{"vlan", func(n ast.Node) { l.vlan = r.number(n, "the vlan's id", 0, math.MaxInt32) }},
		{"idx", func(n ast.Node) { l.idx = r.number(n, "the LAN's index", 1, math.MaxInt32) }},
		{"shape", func(n ast.Node) { l.shape = r.shape(n) }},
		{"columns", func(n ast.Node) {
			fields := []field{}
			for _, col := range lanColumns() {
				fields = append(fields, field{col, func(n ast.Node) {
					l.columns = append(l.columns, attribute{col, r.value(n, "a number")})
				}})
			}
			r.object(n, "columns", fields)
		}},
		{"members", func(n ast.Node) {
			for _, e := range r.entries(n, "members with their addresses") {
				l.members = append(l.members, member{lineOf(e.at), e.key, r.addr(e.val, "the member's address")})
			}
		}},
	})
	return l
}

func (r *reader) program(e entry) program {
	p := program{line: lineOf(e.at), name: e.key}
	r.object(e.val, "a program", []field{
		{"node", func(n ast.Node) { p.node = r.text(n, "a node's name") }},
		{"command", func(n ast.Node) { p.command = r.text(n, "a command line") }},
		{"dir", func(n ast.Node) { p.dir = r.optional(n, "a directory") }},
		{"timeout", func(n ast.Node) { p.timeout = int64(r.number(n, "timeout in seconds", 0, math.MaxInt32)) }},
		{"expect", func(n ast.Node) { p.expect = int64(r.number(n, "the expected exit code", 0, 255)) }},
	})
	if p.node == "" || p.command == "" {
		r.fail(p.line, "expected program %s to have node: and command:", p.name)
	}
	return p
}

func (r *reader) traffic(e entry) traffic {
	t := traffic{line: lineOf(e.at), name: e.key, proto: "udp", generator: "TG"}
	r.object(e.val, "a traffic generator", []field{
		{"node", func(n ast.Node) { t.node = r.text(n, "a node's name") }},
		{"role", func(n ast.Node) { t.role = r.oneOf(n, "role", "source", "sink") }},
		{"proto", func(n ast.Node) { t.proto = r.oneOf(n, "proto", "udp", "tcp") }},
		{"ip", func(n ast.Node) { t.ip = r.addr(n, "the own address") }},
		{"port", func(n ast.Node) { t.port = r.number(n, "the own port", 1, 65535) }},
		{"peer", func(n ast.Node) { t.to = r.text(n, "the name of the other end") }},
		{"peer_node", func(n ast.Node) { t.toNode = r.text(n, "the other end's node") }},
		{"peer_ip", func(n ast.Node) { t.toIP = r.addr(n, "the other end's address") }},
		{"peer_port", func(n ast.Node) { t.toPort = r.number(n, "the other end's port", 1, 65535) }},
		{"generator", func(n ast.Node) { t.generator = r.word(n, "the generator's kind") }},
	})
	if t.node == "" || t.role == "" || t.port == 0 || t.to == "" {
		r.fail(t.line, "expected traffic generator %s to have node:, role:, port: and peer:", t.name)
	}
	return t
}

func (r *reader) route(node string, n ast.Node) route {
	t := route{line: lineOf(n), node: node, kind: "net"}
	kind := ""
	r.object(n, "a route", []field{
		{"to", func(n ast.Node) {
			s, bits, prefix := strings.Cut(r.text(n, "the destination"), "/")
			t.to = s
			if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
				r.failAt(n, "expected to, an IPv4 address or net like 10.1.3.0/24, not %s", shown(n))
			}
			if v, err := strconv.Atoi(bits); prefix && (err != nil || v < 0 || v > 32) {
				r.failAt(n, "expected a prefix length from 0 to 32, not %q", bits)
			} else if prefix {
				t.mask = maskOf(v)
			} else {
				t.mask, t.kind = maskOf(32), "host"
			}
		}},
		{"kind", func(n ast.Node) { kind = r.oneOf(n, "kind", "host", "net") }},
		{"via", func(n ast.Node) { t.via = r.addr(n, "the next hop") }},
		{"src", func(n ast.Node) { t.src = r.addr(n, "the source address") }},
		{"cost", func(n ast.Node) { t.cost = r.number(n, "the cost", 0, math.MaxInt32) }},
	})
	if t.to == "" || t.via == "" {
		r.fail(t.line, "expected a route to have to: and via:")
	}
	t.kind = orText(kind, t.kind)
	return t
}

func (r *reader) blob(n ast.Node) blob {
	var b blob
	r.object(n, "a blob", []field{
		{"path", func(n ast.Node) { b.path = r.word(n, "the blob's path") }},
		{"action", func(n ast.Node) { b.action = r.word(n, "what to do with it") }},
		{"idx", func(n ast.Node) { b.idx = r.number(n, "the blob's index", 1, math.MaxInt32) }},
	})
	return b
}

func (r *reader) eventGroup(e entry) eventGroup {
	g := eventGroup{line: lineOf(e.at), name: r.name(e.at, e.key, "a group's name", "", 64)}
	for _, item := range r.items(e.val) {
		g.members = append(g.members, r.word(item, "an object's name"))
	}
	return g
}

// event reads one line of a schedule: {at: 1.5, object: cbr0, action: MODIFY,
// args: {RATE: 1000}}. at is seconds or a Go duration like 90s.
func (r *reader) event(pid, eid string, n ast.Node) Event {
	ev := Event{line: lineOf(n), PID: pid, EID: eid}
	r.object(n, "an event", []field{
		{"at", func(n ast.Node) {
			s := strings.TrimPrefix(r.text(n, "a time"), "+")
			if sec, err := strconv.ParseFloat(s, 64); err == nil && sec >= 0 && sec < 1e9 {
				ev.At = time.Duration(sec * float64(time.Second))
			} else if d, err := time.ParseDuration(s); err == nil && d >= 0 {
				ev.At = d
			} else {
				r.failAt(n, "expected at, seconds or a duration like 90s, not %s", shown(n))
			}
		}},
		{"object", func(n ast.Node) { ev.Object = r.word(n, "an agent's name") }},
		{"action", func(n ast.Node) { ev.Action = r.word(n, "an action like START, STOP, MODIFY") }},
		{"args", func(n ast.Node) {
			for _, e := range r.entries(n, "arguments") {
				ev.Args = append(ev.Args, Arg{e.key, r.text(e.val, "a value")})
			}
		}},
	})
	if ev.Object == "" || ev.Action == "" {
		r.failAt(n, "expected an event to have object: and action:")
	}
	return ev
}
