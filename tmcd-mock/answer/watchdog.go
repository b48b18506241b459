package answer

import (
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// watchdogInfo gives the intervals of the node's duties, in seconds.
func (c *call) watchdogInfo() {
	if !c.hasWatchdog() {
		c.refuse("there are no site variables of the watchdog")
		return
	}
	w := protocol.WatchdogInfo{Interval: c.interval("interval"), NTPDrift: c.interval("ntpdrift"), CVSup: c.interval("cvsup"),
		RUsage: c.interval("rusage"), HostKeys: c.interval("hostkeys"), DHCPDConf: c.interval("dhcpdconf")}
	slice, service := c.plabSlice(), c.inPlabService()
	switch {
	case c.who.local && c.who.vnode:
		w.IsAlive = c.interval("isalive/vnode")
	case c.who.local:
		w.IsAlive = c.interval("isalive/local")
	case slice:
		w.IsAlive = c.interval("isalive/plab")
	default:
		w.IsAlive = c.interval("isalive/wa")
	}
	if c.who.local && c.who.vnode || slice {
		w.NTPDrift, w.CVSup = 0, 0
	}
	if c.who.local && c.who.vnode && !slice {
		w.HostKeys = 0
	}
	if c.who.local {
		w.CVSup = 0
	} else {
		w.NTPDrift = 0
	}
	if service {
		w.IsAlive = 0 // it reports its usage instead
	} else if c.who.sharedHost() {
		w.RUsage = 60
	}
	if c.site.DynamicRootPasswords {
		w.SetRootPswd = 3600
	}
	c.reply(w)
}

func (c *call) hasWatchdog() bool {
	for r := range c.db.Rows("sitevariables") {
		if strings.HasPrefix(r.Text("name"), "watchdog/") {
			return true
		}
	}
	return false
}

// interval is a site variable of the watchdog, which holds minutes, in seconds;
// -1 if there is none.
func (c *call) interval(name string) int {
	r := c.db.First("sitevariables", "name", "watchdog/"+name)
	for _, column := range []string{"value", "defaultvalue"} {
		if v := r.Text(column); v != "" {
			return 60 * testbed.Atoi(v)
		}
	}
	return -1
}
