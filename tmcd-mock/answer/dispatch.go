package answer

import "emujail/protocol"

// command runs one command by its name in the table. The list is in the
// table's order; commands without a case have an empty answer by design
// (docs/spec/protocol.md §6, last line), or are of families that nobody runs.
func (c *call) command(name string) {
	switch name {
	case "nodeid":
		c.reply(protocol.NodeID(c.who.id))
	case "nodeuuid":
		c.reply(protocol.NodeUUID(c.who.node.Text("uuid")))
	case "manifest":
		c.manifest()
	case "status":
		c.status()
	case "ifconfig":
		c.ifconfig()
	case "accounts":
		c.accounts()
	case "delay":
		c.delayNode()
	case "linkdelay":
		c.linkDelay()
	case "hostnames":
		c.hostnames()
	case "rpms":
		c.rpms()
	case "tarballs":
		c.tarballs()
	case "blobs":
		c.blobs()
	case "startupcmd":
		c.startupCmd()
	case "startstatus", "startstat":
		c.startStatus()
	case "readycount":
		c.readyCount()
	case "ready":
		c.ready()
	case "mounts":
		c.mounts()
	case "sfshostid":
		c.sfsHostID()
	case "loadinfo":
		c.loadInfo()
	case "reset":
		c.report("reset", c.args)
	case "routing":
		c.routing()
	case "trafgens":
		c.trafgens()
	case "nseconfigs":
		c.nseConfigs()
	case "creator":
		c.reply(protocol.Creator{Creator: c.who.creator, Swapper: c.who.swapper})
	case "state":
		c.state()
	case "tunnels":
		c.tunnels()
	case "vnodelist":
		c.vnodeList()
	case "subnodelist":
		c.subNodeList()
	case "isalive":
		c.isAlive()
	case "ipodinfo":
		c.ipodInfo()
	case "ntpinfo":
		c.ntpInfo()
	case "ntpdrift":
		c.ntpDrift()
	case "jailconfig":
		c.jailConfig()
	case "sdparams":
		c.linef("reg=300 agg=5 load=1 expt=5 ctl=1000")
	case "programs":
		c.programs()
	case "syncserver":
		c.syncServer()
	case "keyhash":
		c.reply(protocol.KeyHash(c.who.expt.Text("keyhash")))
	case "eventkey":
		c.reply(protocol.EventKey(c.who.expt.Text("eventkey")))
	case "fullconfig":
		c.fullConfig()
	case "routelist":
		c.routeList()
	case "role":
		c.reply(protocol.Role(c.who.reserved.Text("erole")))
	case "rusage":
		c.rusage()
	case "watchdoginfo":
		c.watchdogInfo()
	case "hostkeys":
		c.hostKeys()
	case "tmcctest":
		c.tmccTest()
	case "firewallinfo":
		c.firewallInfo()
	case "hostinfo":
		c.hostInfo()
	case "emulabconfig":
		c.emulabConfig()
	case "localization":
		c.localization()
	case "rootpswd":
		c.rootPassword()
	case "booterrno":
		c.bootErrno()
	case "bootlog":
		c.bootLog()
	case "battery":
		c.battery()
	case "topomap", "ltmap", "ltpmap":
		c.topologyMap(name)
	case "userenv":
		c.userEnv()
	case "tiptunnels":
		c.tipTunnels()
	case "traceinfo":
		c.traceInfo()
	case "elvindport":
		c.elvindPort()
	case "intfcmap":
		c.interfaceMap()
	case "portregister":
		c.portRegister()
	case "bootwhat":
		c.bootWhat()
	case "nodeattributes":
		c.nodeAttributes()
	case "disks":
		c.disks()
	case "arpinfo":
		c.arpInfo()
	case "hwinfo":
		c.hwInfo()
	case "tiplineinfo":
		c.tipLineInfo()
	case "imageinfo":
		c.imageInfo()
	case "imagesize":
		c.imageSize()
	case "serviceinfo":
		c.linef("TFTP=boss DHCP=boss FRISBEE=boss PUBSUB=boss")
	default:
		c.geni(name)
	}
}

// fullConfig runs every command of the asker's kind and frames each answer.
// It doesn't check again what the single commands would refuse, but for keys
// that a remote node may have over TLS only (docs/spec/protocol.md §4).
func (c *call) fullConfig() {
	for _, command := range fullConfigBlocks(c.who.vnode) {
		if command.Flags.Has(protocol.RemReqSSL) && !c.who.local && c.q.Transport != TLS {
			continue
		}
		c.out = append(append(append(c.out, "*** "...), command.Name...), '\n')
		c.command(command.Name)
		c.why = ""
		c.out = append(append(append(c.out, "*** "...), command.Name...), '\n')
	}
}

func fullConfigBlocks(vnode bool) []protocol.Command {
	blocks := protocol.Commands()
	n := 0
	for _, command := range blocks {
		if command.Scope.Sent(vnode) && !command.Flags.Has(protocol.ReqTPM) {
			blocks[n] = command
			n++
		}
	}
	return blocks[:n]
}
