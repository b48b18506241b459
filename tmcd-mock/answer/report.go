package answer

import (
	"strconv"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// The commands by which nodes tell about themselves. Most answer nothing; what
// they change is in docs/spec/protocol.md §7.

func (c *call) updateNode(id string, set testbed.Columns) {
	c.change(testbed.Change{Table: "nodes", Op: testbed.Update, Where: map[string]string{"node_id": id}, Set: set})
}

// upsertNode writes a table that has one row for each node.
func (c *call) upsertNode(table string, set testbed.Columns) {
	c.change(testbed.Change{Table: table, Op: testbed.Upsert, Where: map[string]string{"node_id": c.who.id}, Set: set})
}

// state is an event for the state daemon; the database doesn't change.
func (c *call) state() {
	word := firstWord(c.args)
	word = word[:min(len(word), 128)]
	if word == "" || !onlyOf(word, "_-") {
		c.refuse("state %q is no name", word)
		return
	}
	for q := range c.db.Where("tpm_quote_values", "state", word) {
		if q.Is("op_mode", c.who.node.Text("op_mode")) {
			c.refuse("state %s is told with a quote of the TPM only", word)
			return
		}
	}
	c.report("state", word)
}

func (c *call) startStatus() {
	n, ok := scanInt(c.args)
	if !ok {
		c.refuse("start status %q is no number", firstWord(c.args))
		return
	}
	c.report("startstatus", c.args)
	c.updateNode(c.who.id, testbed.Columns{"startstatus": strconv.FormatInt(n, 10)})
}

// ready is for physical nodes; from vnodes it is passed over in silence.
func (c *call) ready() {
	if c.who.vnode {
		return
	}
	c.report("ready", c.args)
	c.updateNode(c.who.id, testbed.Columns{"ready": int64(1)})
}

func (c *call) isAlive() {
	c.report("isalive", c.args)
	c.upsertNode("node_status", testbed.Columns{"status": "up", "status_timestamp": c.now()})
	update := 0
	if c.who.node.Bool("update_accounts") {
		update = 1
	}
	c.reply(protocol.IsAlive{Update: update})
}

// rusage wants all four figures in this order. From a slice it says, too, that
// the slice and its host are up.
func (c *call) rusage() {
	set := testbed.Columns{"status_timestamp": c.now()}
	rest := c.args
	for i, f := range []struct{ key, column string }{{"LA1", "load_1min"}, {"LA5", "load_5min"}, {"LA15", "load_15min"}, {"DUSED", "disk_used"}} {
		if i > 0 {
			rest = strings.TrimLeft(rest, blanks)
		}
		text, ok := strings.CutPrefix(rest, f.key+"=")
		if !ok {
			c.refuse("rusage without %s=", f.key)
			return
		}
		load, after, ok := scanFloat(text)
		if !ok {
			c.refuse("rusage: %s= is no number", f.key)
			return
		}
		set[f.column], rest = stored(load), after
	}
	c.report("rusage", c.args)
	c.upsertNode("node_rusage", set)
	if c.plabSlice() {
		for _, id := range []string{c.who.host, c.who.id} {
			c.change(testbed.Change{Table: "node_status", Op: testbed.Upsert, Where: map[string]string{"node_id": id},
				Set: testbed.Columns{"status": "up", "status_timestamp": c.now()}})
		}
	}
	c.reply(protocol.Update{Update: c.who.node.Int("update_accounts")})
}

// ntpDrift is kept for local nodes, over TCP.
func (c *call) ntpDrift() {
	drift, _, ok := scanFloat(c.args)
	switch {
	case c.q.Transport == UDP:
		c.refuse("ntpdrift over UDP")
	case !c.who.local:
		c.refuse("ntpdrift from remote node %s", c.who.id)
	case !ok:
		c.refuse("drift %q is no number", firstWord(c.args))
	default:
		c.report("ntpdrift", c.args)
		c.updateNode(c.who.id, testbed.Columns{"ntpdrift": stored(drift)})
	}
}

func (c *call) bootErrno() {
	n, ok := scanInt(c.args)
	if !ok {
		c.refuse("boot error %q is no number", firstWord(c.args))
		return
	}
	c.report("booterrno", c.args)
	c.updateNode(c.who.id, testbed.Columns{"boot_errno": n})
}

// bootLog keeps the text as it is, without the blanks before it.
func (c *call) bootLog() {
	text := strings.TrimLeft(c.args, blanks)
	if text == "" {
		return
	}
	c.report("bootlog", text)
	c.upsertNode("node_bootlogs", testbed.Columns{"bootlog": text, "bootlog_timestamp": c.now()})
}

// hostKeys takes KEY='value' words, separated by blanks or by nothing; a kind
// that isn't among them becomes NULL, all of them if there is no word.
func (c *call) hostKeys() {
	columns := map[string]string{"SSH_HOST_KEY": "sshrsa_v1", "SSH_HOST_RSA_KEY": "sshrsa_v2", "SSH_HOST_DSA_KEY": "sshdsa_v2"}
	set := testbed.Columns{"sshrsa_v1": nil, "sshrsa_v2": nil, "sshdsa_v2": nil}
	for rest := strings.TrimLeft(c.args, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, "='")
		value, tail, closed := strings.Cut(after, "'")
		column := columns[strings.ToUpper(key)]
		if !ok || !closed || column == "" || len(value) > 4095 {
			c.refuse("hostkeys: expected SSH_HOST_RSA_KEY='…' and the like")
			return
		}
		set[column], rest = value, tail
	}
	c.report("hostkeys", c.args)
	c.change(testbed.Change{Table: "node_hostkeys", Where: map[string]string{"node_id": c.who.id}, Set: set})
}

// hostInfo notes the version of the CD that a node booted from.
func (c *call) hostInfo() {
	v, _ := strings.CutPrefix(c.args, "CDVERSION=")
	end := 0
	for end < min(len(v), 31) && onlyOf(v[end:end+1], "-") {
		end++
	}
	if len(v) == len(c.args) || end == 0 {
		return
	}
	c.report("hostinfo", c.args)
	c.updateNode(c.who.id, testbed.Columns{"cd_version": v[:end]})
}

func (c *call) elvindPort() {
	port, ok := scanInt(c.args)
	if !ok {
		c.refuse("port %q is no number", firstWord(c.args))
		return
	}
	c.report("elvindport", c.args)
	c.change(testbed.Change{Table: "node_attributes", Op: testbed.Upsert,
		Where: map[string]string{"node_id": c.who.host, "attrkey": "elvind_port"},
		Set:   testbed.Columns{"attrvalue": strconv.FormatUint(uint64(uint32(port)), 10)}})
}

func (c *call) sfsHostID() {
	id := firstWord(c.args)
	if host, hash, ok := strings.Cut(id, ":"); !ok || !onlyOf(host, ".-_") || !onlyOf(hash, "") || id == "" {
		return
	}
	c.report("sfshostid", c.args) // and nothing is written where SFS isn't in use
}
