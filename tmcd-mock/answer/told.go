package answer

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"emujail/protocol"
	"emujail/tmcd-mock/testbed"
)

// What nodes tell in a form of its own: batteries, ports of services, consoles.

// battery takes CAPACITY=percent VOLTAGE=volts, if they can be true.
func (c *call) battery() {
	capacity, rest, ok1 := afterKey(c.args, "CAPACITY=")
	voltage, _, ok2 := afterKey(strings.TrimLeft(rest, blanks), "VOLTAGE=")
	if !ok1 || !ok2 || !(capacity >= 0 && capacity <= 100 && voltage >= 5 && voltage <= 15) {
		c.refuse("battery: expected CAPACITY= from 0 to 100 and VOLTAGE= from 5 to 15")
		return
	}
	c.report("battery", c.args)
	c.updateNode(c.who.id, testbed.Columns{"battery_percentage": capacity, "battery_voltage": voltage,
		"battery_timestamp": c.q.Now.Unix()})
	c.linef("OK")
}

// afterKey reads the number that follows a key at the beginning of s, and gives
// what comes after it.
func afterKey(s, key string) (f float64, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, key)
	if !ok {
		return 0, s, false
	}
	return scanFloat(s)
}

// portRegister notes where a service of the experiment listens (port 0: no
// more), or without a port tells it.
func (c *call) portRegister() {
	args := strings.TrimLeft(c.args, blanks)
	service, rest := args, ""
	if end := strings.IndexAny(args, blanks); end >= 0 {
		service, rest = args[:end], args[end:]
	}
	const longest = 127 // with a backslash before each quote
	length := len(service)
	for _, quote := range []string{"'", `"`, `\`, "\x1a"} {
		length += strings.Count(service, quote)
	}
	if service == "" || length > longest {
		c.refuse("service %q is no name", service[:min(len(service), longest)])
		return
	}
	port, ok := scanInt(rest)
	if !ok {
		c.registered(service)
		return
	}
	where := map[string]string{"exptidx": cmp.Or(c.who.exptidx, "0"), "service": cut64(service)}
	c.report("portregister", c.args)
	if port == 0 {
		c.change(testbed.Change{Table: "port_registration", Op: testbed.Delete, Where: where})
		return
	}
	c.change(testbed.Change{Table: "port_registration", Op: testbed.Upsert, Where: where,
		Set: testbed.Columns{"pid": c.who.pid, "eid": c.who.eid, "node_id": c.who.called, "port": max(port, 0)}})
}

// cut64 is what a column of 64 characters keeps of a text.
func cut64(s string) string { return s[:min(len(s), 64)] }

// clampedInt is the number at the beginning of a text, as far as a column
// holds it.
func clampedInt(s string, most int64) int64 {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[0] == '-') {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64) // out of range it is the nearest
	return max(min(n, most), -most-1)
}

func (c *call) registered(service string) {
	if r := first(c.ofExperiment("port_registration", "service", service)); !r.IsZero() {
		c.reply(protocol.PortRegistration{Port: r.Int("port"), NodeID: r.Text("node_id") + "." + c.site.Domain})
	}
}

// tipLineInfo notes where a vnode's console is: lines of "key: value".
func (c *call) tipLineInfo() {
	if !c.who.vnode {
		return
	}
	value := map[string]string{}
	for rest := strings.TrimLeft(c.args, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, ":")
		key = strings.ToLower(key)
		if !ok || key != "host" && key != "port" && key != "keylen" && key != "key" {
			c.refuse("tiplineinfo: expected host, port, keylen and key")
			return
		}
		var line string
		line, rest, _ = strings.Cut(strings.TrimLeft(after, blanks), "\n")
		const longest = 128
		if !onlyOf(line, ".-") || len(line) > longest {
			c.refuse("tiplineinfo: %s can't be %q", key, line[:min(len(line), longest)])
			return
		}
		value[key] = line
	}
	c.report("tiplineinfo", c.args)
	c.change(testbed.Change{Table: "tiplines", Op: testbed.Upsert, Where: map[string]string{"tipname": c.who.id},
		Set: testbed.Columns{"node_id": c.who.id, "server": cut64(value["host"]), "portnum": clampedInt(value["port"], math.MaxInt32),
			"keylen": clampedInt(value["keylen"], math.MaxInt16), "keydata": value["key"]}})
}
