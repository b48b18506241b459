package answer

import (
	"encoding/hex"
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

func (c *call) ntpInfo() {
	if c.q.Transport == UDP {
		c.refuse("ntpinfo over UDP")
		return
	}
	c.ntpServers()
	if drift := floatText(c.who.node.Value("ntpdrift")); drift != "" {
		c.linef("DRIFT=%s", drift)
	}
}

// ipodInfo makes a new key for the ping of death.
func (c *call) ipodInfo() {
	if c.q.Transport == UDP {
		c.refuse("ipodinfo over UDP")
		return
	}
	hash := hex.EncodeToString(c.random(16))
	c.updateNode(c.who.id, testbed.Columns{"ipodhash": hash})
	c.linef("HOST=%s MASK=255.255.255.255 HASH=%s", c.site.BossIP, hash)
}

// rootPassword gives the hash of root's password, made once: a vnode has that
// of its host, unless the host is shared.
func (c *call) rootPassword() {
	node := c.who.id
	if c.who.vnode && c.who.sharing == "" {
		node = c.who.host
	}
	password, ok := nodeAttr(c.db, node, "root_password")
	if !ok {
		password = hex.EncodeToString(c.random(6))
		c.change(testbed.Change{Table: "node_attributes", Op: testbed.Upsert,
			Where: map[string]string{"node_id": node, "attrkey": "root_password"},
			Set:   testbed.Columns{"attrvalue": password}})
	}
	c.reply(protocol.RootPassword(c.crypt(password)))
}

// crypt hashes a password with a new salt.
func (c *call) crypt(password string) string {
	return md5Crypt(password, hex.EncodeToString(c.random(4)))
}
