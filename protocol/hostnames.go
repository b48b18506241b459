package protocol

import (
	"errors"
	"strings"
)

// HostNames is the reply to hostnames: a line for each experiment interface of
// every node of the experiment, for /etc/hosts.
type HostNames []HostName

// HostName is a line of HostNames.
type HostName struct {
	Name string // <node>-<lan>
	IP   string
	// Aliases are <node>-<port> and, for one interface of each node, the bare
	// <node>.
	Aliases []string
	Extra   Extra
}

// ParseHostNames reads the reply to hostnames. Version 2 has no names of LANs:
// there Name is the node.
func ParseHostNames(b []byte) (HostNames, error) { return parseRecords[HostName](b, "") }

func (h *HostName) fields(c *codec) {
	c.need("NAME", "IP")
	if c.parsing && c.find("LINK") >= 0 || !c.parsing && c.version == 2 {
		h.linkFields(c)
		return
	}
	c.text("NAME", &h.Name)
	c.text("IP", &h.IP)
	if c.parsing {
		aliases := ""
		c.quoted("ALIASES", '\'', &aliases)
		h.Aliases = splitWords(aliases)
	} else {
		h.appendAliases(c)
	}
	c.extra(&h.Extra)
	h.check(c)
}

// notName can't be in a name: it would not survive in some version's form.
const notName = blanks + "'\""

// check holds names to what a line of /etc/hosts can carry.
func (h *HostName) check(c *codec) {
	if !c.parsing {
		return
	}
	if h.Name == "" || strings.ContainsAny(h.Name, notName) {
		c.fail(errors.New("NAME= is no name"))
	}
	for _, w := range h.Extra {
		if w.Key == "LINK" || w.Key == "ALIAS" || w.Key == "ALIASES" {
			c.fail(errors.New("words of two versions"))
		}
	}
	for _, alias := range h.Aliases {
		if strings.ContainsAny(alias, notName) {
			c.fail(errors.New("an alias is no name"))
		}
	}
}

// appendAliases puts a single space where the bare name would stand.
func (h *HostName) appendAliases(c *codec) {
	c.key("ALIASES")
	c.dst = append(c.dst, '\'')
	for i, alias := range h.Aliases {
		if i > 0 {
			c.dst = append(c.dst, ' ')
		}
		c.value(alias)
	}
	if len(h.Aliases) == 1 {
		c.dst = append(c.dst, "  "...)
	}
	c.dst = append(c.dst, '\'')
}

// linkFields is the form of version 2: NAME=node LINK=port IP= ALIAS=node.
func (h *HostName) linkFields(c *codec) {
	node, link, alias := "", "", " "
	if !c.parsing {
		node, link = h.split()
		if len(h.Aliases) > 1 {
			alias = h.Aliases[1]
		}
	}
	c.text("NAME", &node)
	c.text("LINK", &link)
	c.text("IP", &h.IP)
	c.text("ALIAS", &alias)
	if c.parsing {
		h.join(c, node, link, alias)
	}
	c.extra(&h.Extra)
	h.check(c)
}

// splitWords splits at spaces; none gives nil.
func splitWords(s string) []string {
	var all []string
	for word := range strings.SplitSeq(s, " ") {
		if word != "" {
			all = append(all, word)
		}
	}
	return all
}

// split takes <node>-<port> apart.
func (h *HostName) split() (node, link string) {
	first := h.Name
	if len(h.Aliases) > 0 {
		first = h.Aliases[0]
	}
	i := strings.LastIndexByte(first, '-')
	if i <= 0 || i == len(first)-1 || len(h.Aliases) == 0 {
		return first, "0"
	}
	return first[:i], first[i+1:]
}

func (h *HostName) join(c *codec, node, link, alias string) {
	if link == "" || strings.Contains(link, "-") {
		c.fail(errors.New("LINK= is no number"))
		return
	}
	h.Name = node
	h.Aliases = append([]string{node + "-" + link}, splitWords(alias)...)
}

// Append renders the reply.
func (h HostNames) Append(dst []byte, version int) []byte {
	return appendRecords[HostName](dst, version, "", h)
}
