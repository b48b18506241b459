package answer

import (
	"encoding/hex"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// What is made of random bytes: passwords and keys.

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
