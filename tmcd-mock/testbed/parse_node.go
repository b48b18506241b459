package testbed

import (
	"math"
	"strings"

	"emujail/protocol"
	"github.com/goccy/go-yaml/ast"
)

// common are the keys that hosts and vnodes share.
func (r *reader) common(c *nodeCommon) []field {
	return []field{
		{"experiment", func(n ast.Node) { c.experiment = r.text(n, "PROJECT/EXPERIMENT") }},
		{"name", func(n ast.Node) { c.name = r.name(n, r.text(n, "a name"), "the node's name in the experiment", "", 32) }},
		{"type", func(n ast.Node) { c.typ = r.text(n, "a node type") }},
		{"role", func(n ast.Node) {
			c.role = r.oneOf(n, "role", "node", "virthost", "sharedhost", "delaynode", "subboss", "storagehost", "simhost")
		}},
		{"sharing", func(n ast.Node) { c.sharing = r.word(n, "the sharing mode") }},
		{"uuid", func(n ast.Node) { c.uuid = r.word(n, "a UUID") }},
		{"mode", func(n ast.Node) { c.mode = r.word(n, "the operational mode") }},
		{"state", func(n ast.Node) { c.state = r.word(n, "the state") }},
		{"startup", func(n ast.Node) { c.startup = r.text(n, "a command line") }},
		{"routing", func(n ast.Node) {
			c.routing = r.oneOf(n, "routing", "none", "ospf", "static", "manual", "static-ddijk", "static-old")
		}},
		{"rpms", func(n ast.Node) { c.rpms = r.paths(n) }},
		{"tarballs", func(n ast.Node) { c.tarballs = r.tarballs(n) }},
		{"taint", func(n ast.Node) { c.taint = r.text(n, "useronly, blackbox or both") }},
		{"update", func(n ast.Node) { c.update = r.number(n, "how often accounts changed", 0, math.MaxInt32) }},
		{"mounts", func(n ast.Node) { c.mounts = r.mounts(n) }},
		{"os", func(n ast.Node) { c.os = r.number(n, "the default OS's id", 1, math.MaxInt32) }},
		{"attributes", func(n ast.Node) { c.attributes = r.attributes(n) }},
		{"external_key", func(n ast.Node) { c.resKey = r.word(n, "an external key") }},
	}
}

func (r *reader) paths(n ast.Node) string {
	var out []string
	for _, item := range r.items(n) {
		out = append(out, r.text(item, "a path"))
	}
	return strings.Join(out, ":")
}

// tarballs reads {directory: file} or [{directory: file}, …]; a list may also
// hold entries as the database has them, "directory file".
func (r *reader) tarballs(n ast.Node) string {
	var out []string
	for _, item := range r.items(n) {
		switch plain(item).(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			for _, e := range r.entries(item, "directories with files") {
				file := r.text(e.val, "the file to unpack")
				if strings.ContainsAny(e.key+file, " :") {
					r.failAt(e.at, "expected a directory and a file without blanks and colons, not %q: %q", e.key, file)
				}
				out = append(out, e.key+" "+file)
			}
		default:
			out = append(out, r.text(item, "DIRECTORY FILE"))
		}
	}
	return strings.Join(out, ":")
}

func (r *reader) nodeID(e entry) string {
	return r.name(e.at, e.key, "a node id", "", protocol.MaxNodeID)
}

func (r *reader) host(e entry) host {
	h := host{nodeCommon: nodeCommon{line: lineOf(e.at), id: r.nodeID(e)}}
	r.object(e.val, "a host", append(r.common(&h.nodeCommon), []field{
		{"ip", func(n ast.Node) { h.ip = r.addr(n, "the control address") }},
		{"mask", func(n ast.Node) { h.mask = r.mask(n, "the control network's mask") }},
		{"mac", func(n ast.Node) { h.mac = r.mac(n, "the control interface's address") }},
		{"card", func(n ast.Node) { h.card = r.word(n, "the control interface's type") }},
		{"control", func(n ast.Node) { h.control = r.flag(n, "control") }},
		{"remote", func(n ast.Node) { h.remote = r.flag(n, "remote") }},
		{"privkey", func(n ast.Node) { h.privkey = r.word(n, "the node's key") }},
		{"contact", func(n ast.Node) { h.contact = r.text(n, "a user") }},
		{"hostname", func(n ast.Node) { h.hostname = r.word(n, "the host's name") }},
		{"interfaces", func(n ast.Node) { each(r, n, "interfaces", &h.interfaces, r.iface) }},
	}...))
	if h.ip == "" {
		r.fail(h.line, "expected host %s to have ip:, its control address", h.id)
	}
	if k := h.privkey; k != "" && (len(k) < 16 || len(k) > 128 || strings.Trim(strings.ToLower(k), "0123456789abcdef") != "") {
		r.fail(h.line, "expected privkey of %s: 16 to 128 hexadecimal digits", h.id)
	}
	return h
}

func (r *reader) iface(e entry) iface {
	i := iface{line: lineOf(e.at), name: e.key, kind: "eth", role: "expt", speed: "100", duplex: "full"}
	r.object(e.val, "an interface", []field{
		{"ip", func(n ast.Node) { i.ip = r.optional(n, "an address") }},
		{"mask", func(n ast.Node) { i.mask = r.optional(n, "a mask") }},
		{"mac", func(n ast.Node) { i.mac = r.mac(n, "the interface's address") }},
		{"type", func(n ast.Node) { i.kind = r.word(n, "the card's type") }},
		{"role", func(n ast.Node) { i.role = r.word(n, "the role") }},
		{"speed", func(n ast.Node) { i.speed = r.word(n, "the speed in Mbit/s") }},
		{"duplex", func(n ast.Node) { i.duplex = r.oneOf(n, "duplex", "full", "half") }},
	})
	if s, _ := i.ip.(string); s != "" && !isIPv4(s) {
		r.fail(i.line, "expected ip of %s, an IPv4 address like 10.1.1.2, not %q", i.name, s)
	}
	return i
}

func (r *reader) vnode(e entry) vnode {
	v := vnode{nodeCommon: nodeCommon{line: lineOf(e.at), id: r.nodeID(e)}, jailed: true}
	r.object(e.val, "a vnode", append(r.common(&v.nodeCommon), []field{
		{"host", func(n ast.Node) { v.host = r.text(n, "a host's id") }},
		{"jailed", func(n ast.Node) { v.jailed = r.flag(n, "jailed") }},
		{"sshdport", func(n ast.Node) { v.sshd = r.number(n, "sshd's port", 1, 65535) }},
		{"ports", func(n ast.Node) {
			p := r.portRange(n)
			v.ports = [3]int{p[0], p[0], p[1]}
		}},
		{"jail", func(n ast.Node) {
			r.object(n, "jail", []field{
				{"ip", func(n ast.Node) { v.jailIP = r.addr(n, "the jail's address") }},
				{"mask", func(n ast.Node) { v.jailMask = r.mask(n, "the jail's mask") }},
				{"mac", func(n ast.Node) { v.jailMAC = r.mac(n, "the jail's control interface") }},
			})
		}},
	}...))
	if v.host == "" {
		r.fail(v.line, "expected vnode %s to have host:, the host that it lives on", v.id)
	}
	return v
}
