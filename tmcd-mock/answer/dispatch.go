package answer

import (
	"slices"

	"emujail/protocol"
)

// command runs one command by its name in the table. Commands without a row
// have an empty answer by design (docs/spec/protocol.md §6, last line), or are of
// families that nobody runs.
func (c *call) command(name string) {
	if c.handlers == nil {
		c.handlers = handlers() // once for all blocks of a fullconfig
	}
	if i := slices.IndexFunc(c.handlers, func(h handler) bool { return h.command == name }); i >= 0 {
		c.handlers[i].run(c)
		return
	}
	c.geni(name)
}

// handler is a command and what answers it.
type handler struct {
	command string
	run     func(*call)
}

// handlers has a row a command, in the order of tmcd's table.
func handlers() []handler {
	return []handler{
		{"nodeid", func(c *call) { c.linef("%s", c.who.called) }},
		{"nodeuuid", func(c *call) { c.linef("%s", c.who.node.Text("uuid")) }},
		{"manifest", (*call).manifest},
		{"status", (*call).status},
		{"ifconfig", (*call).ifconfig},
		{"accounts", (*call).accounts},
		{"delay", (*call).delayNode},
		{"bridges", (*call).bridges},
		{"linkdelay", (*call).linkDelay},
		{"hostnames", (*call).hostnames},
		{"rpms", (*call).rpms},
		{"tarballs", (*call).tarballs},
		{"blobs", (*call).blobs},
		{"startupcmd", (*call).startupCmd},
		{"startstatus", (*call).startStatus},
		{"startstat", (*call).startStatus},
		{"readycount", (*call).readyCount},
		{"ready", (*call).ready},
		{"storageconfig", (*call).storageConfig},
		{"mounts", (*call).mounts},
		{"sfshostid", (*call).sfsHostID},
		{"loadinfo", (*call).loadInfo},
		{"reset", func(c *call) { c.report("reset", c.args) }},
		{"routing", (*call).routing},
		{"trafgens", (*call).trafgens},
		{"nseconfigs", (*call).nseConfigs},
		{"creator", (*call).creator},
		{"state", (*call).state},
		{"tunnels", (*call).tunnels},
		{"vnodelist", (*call).vnodeList},
		{"subnodelist", (*call).subNodeList},
		{"isalive", (*call).isAlive},
		{"ipodinfo", (*call).ipodInfo},
		{"ntpinfo", (*call).ntpInfo},
		{"ntpdrift", (*call).ntpDrift},
		{"jailconfig", (*call).jailConfig},
		{"plabconfig", (*call).plabConfig},
		{"subconfig", (*call).subConfig},
		{"sdparams", func(c *call) { c.linef("reg=300 agg=5 load=1 expt=5 ctl=1000") }},
		{"programs", (*call).programs},
		{"syncserver", (*call).syncServer},
		{"keyhash", func(c *call) { c.reply(protocol.KeyHash(c.who.expt.Text("keyhash"))) }},
		{"eventkey", func(c *call) { c.reply(protocol.EventKey(c.who.expt.Text("eventkey"))) }},
		{"fullconfig", (*call).fullConfig}, // runs the others
		{"routelist", (*call).routeList},
		{"role", func(c *call) { c.linef("%s", c.who.reserved.Text("erole")) }},
		{"rusage", (*call).rusage},
		{"watchdoginfo", (*call).watchdogInfo},
		{"hostkeys", (*call).hostKeys},
		{"tmcctest", (*call).tmccTest},
		{"firewallinfo", (*call).firewallInfo},
		{"hostinfo", (*call).hostInfo},
		{"emulabconfig", (*call).emulabConfig},
		{"eplabconfig", (*call).innerPlabConfig},
		{"localization", (*call).localization},
		{"rootpswd", (*call).rootPassword},
		{"booterrno", (*call).bootErrno},
		{"bootlog", (*call).bootLog},
		{"battery", (*call).battery},
		{"topomap", func(c *call) { c.topologyMap("topomap") }},
		{"ltmap", func(c *call) { c.topologyMap("ltmap") }},
		{"ltpmap", func(c *call) { c.topologyMap("ltpmap") }},
		{"userenv", (*call).userEnv},
		{"tiptunnels", (*call).tipTunnels},
		{"traceinfo", (*call).traceInfo},
		{"elvindport", (*call).elvindPort},
		{"plabeventkeys", (*call).plabEventKeys},
		{"intfcmap", (*call).interfaceMap},
		{"motelog", (*call).moteLog},
		{"portregister", (*call).portRegister},
		{"bootwhat", (*call).bootWhat},
		{"tpmdummy", func(c *call) { c.linef("You'd better be using the TPM, you twicky wabbit!") }},
		{"imagekey", (*call).imageKey},
		{"dhcpdconf", (*call).dhcpdConf},
		{"nodeattributes", (*call).nodeAttributes},
		{"disks", (*call).disks},
		{"arpinfo", (*call).arpInfo},
		{"hwinfo", (*call).hwInfo},
		{"tiplineinfo", (*call).tipLineInfo},
		{"imageinfo", (*call).imageInfo},
		{"imagesize", (*call).imageSize},
		{"pnetnodeattrs", (*call).pnetNodeAttrs},
		{"serviceinfo", (*call).serviceInfo},
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
