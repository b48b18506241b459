package answer

import (
	"strings"

	"emujail/protocol"
)

// useWeb: fetched from the web server, where nothing is mounted.
func (c *call) useWeb() bool {
	return c.who.mounts == "none" || c.who.vnode && c.who.sharing != ""
}

func (c *call) rpms() {
	all := c.who.node.Text("rpms")
	if all == "" || c.who.tainted("blackbox", "useronly") {
		return
	}
	var list protocol.RPMs
	for path := range strings.SplitSeq(all, ":") {
		list = append(list, protocol.RPM{Server: c.site.WebServer(), UseWeb: c.useWeb(), Path: path})
	}
	c.reply(list)
}

// tarballs splits at every colon, so that URLs are torn apart, as ever; what
// has no blank in it is dropped.
func (c *call) tarballs() {
	all := c.who.node.Text("tarballs")
	if all == "" || c.who.tainted("blackbox", "useronly") {
		return
	}
	var list protocol.Tarballs
	for one := range strings.SplitSeq(all, ":") {
		dir, path, ok := strings.Cut(one, " ")
		if !ok {
			continue
		}
		list = append(list, protocol.Tarball{Server: c.site.WebServer(), UseWeb: c.useWeb(), Dir: dir, Path: path})
	}
	c.reply(list)
}

// blobs are files for the experiment's nodes, sorted by number.
func (c *call) blobs() {
	if c.who.tainted("blackbox", "useronly") {
		return
	}
	var list protocol.Blobs
	for _, b := range sorted(c.db.Where("experiment_blobs", "exptidx", c.who.exptidx), "idx") {
		if b.Has("path") && b.Has("action") {
			list = append(list, protocol.Blob{URL: "frisbee://" + b.Text("path"), Action: b.Text("action")})
		}
	}
	all := list.Append(nil, c.version)
	if len(all) >= maxBlobs {
		c.refuse("%d bytes of blobs", len(all))
		return
	}
	c.out = append(c.out, all...)
}

// maxBlobs: tmcd sends all blobs at once, so many bytes or none.
const maxBlobs = 2048

func (c *call) startupCmd() {
	command := c.who.node.Text("startupcmd")
	if command == "" || c.who.tainted("blackbox") {
		return
	}
	c.reply(protocol.StartupCmd{Command: command, UID: c.who.swapper})
}

// programs are the node's program objects, with what each may lack left out.
func (c *call) programs() {
	if c.who.tainted("blackbox") {
		return
	}
	head := false
	for r := range c.ofNode("virt_programs", "vnode") {
		if !head {
			c.linef("UID=%s", c.who.swapper)
			head = true
		}
		line := "AGENT=" + r.Text("vname")
		if c.version >= 23 {
			for _, o := range []struct{ key, column string }{{"DIR", "dir"}, {"TIMEOUT", "timeout"}, {"EXPECTED_EXIT_CODE", "expected_exit_code"}} {
				if v := r.Text(o.column); v != "" {
					line += " " + o.key + "=" + v
				}
			}
		}
		if c.version >= 13 {
			line += " COMMAND='" + r.Text("command") + "'"
		}
		c.linef("%s", line)
	}
}

func (c *call) trafgens() {
	var list protocol.TrafGens
	for r := range c.ofNode("virt_trafgens", "vnode") {
		me, peer := r.Text("ip"), r.Text("target_ip")
		if me == "" { // then both go by names, whatever the peer has
			me, peer = firstInterface(r.Text("vnode")), firstInterface(r.Text("target_vnode"))
		}
		list = append(list, protocol.TrafGen{Name: r.Text("vname"),
			MyName: me, MyPort: r.Int("port"), PeerName: peer, PeerPort: r.Int("target_port"),
			Proto: r.Text("proto"), Role: r.Text("role"), Generator: r.Text("generator")})
	}
	c.reply(list)
}

// firstInterface is the name of a node's first interface.
func firstInterface(vnode string) string {
	return vnode + "-0"
}

func (c *call) nseConfigs() {
	if c.q.Transport == UDP {
		c.refuse("nseconfigs over UDP")
		return
	}
	for r := range c.ofNode("nseconfigs", "vname") {
		c.out = append(c.out, r.Text("nseconfig")...)
	}
}
