package answer

import (
	"encoding/hex"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// watchdogInfo gives the intervals of the node's duties, in seconds; site
// variables hold minutes.
func (c *call) watchdogInfo() {
	seconds := func(name string) int { return 60 * testbed.Atoi(c.db.SiteVar("watchdog/"+name)) }
	w := protocol.WatchdogInfo{Interval: seconds("interval"), NTPDrift: seconds("ntpdrift"), CVSup: seconds("cvsup"),
		RUsage: seconds("rusage"), HostKeys: seconds("hostkeys"), DHCPDConf: seconds("dhcpdconf")}
	switch {
	case !c.who.local:
		w.IsAlive = seconds("isalive/wa")
		w.NTPDrift = 0
	case c.who.vnode:
		w.IsAlive = seconds("isalive/vnode")
		w.NTPDrift, w.CVSup, w.HostKeys = 0, 0, 0
	default:
		w.IsAlive = seconds("isalive/local")
		w.CVSup = 0
	}
	if c.who.sharedHost() {
		w.RUsage = 60
	}
	if c.site.DynamicRootPasswords {
		w.SetRootPswd = 3600
	}
	c.reply(w)
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
	password := ""
	for a := range c.db.Where("node_attributes", "node_id", node) {
		if a.Is("attrkey", "root_password") {
			password = a.Text("attrvalue")
		}
	}
	if password == "" {
		password = hex.EncodeToString(c.random(8))
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
