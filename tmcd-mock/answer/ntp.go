package answer

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"emujail/tmcd-mock/testbed"
)

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

// ntpServers lists whom the node keeps time with: the rows that are whole, or,
// for a local node without rows, the site's server.
func (c *call) ntpServers() {
	rows := slices.SortedStableFunc(c.db.Where("ntpinfo", "node_id", c.who.id), byNTPKey)
	for _, r := range rows {
		if !r.Has("type") || !r.Has("IP") {
			continue
		}
		tag := "SERVER"
		if r.Is("type", "peer") {
			tag = "PEER"
		}
		c.linef("%s=%s", tag, r.Text("IP"))
	}
	if len(rows) == 0 && c.who.local {
		c.linef("SERVER=%s", c.site.NTPServer)
	}
}

// byNTPKey is the order of the table's key, in which the database reads rows
// that it finds in the key alone: by address, then server before peer.
func byNTPKey(a, b testbed.Row) int {
	return cmp.Or(collate(a.Text("IP"), b.Text("IP")), collate(b.Text("type"), a.Text("type")))
}

// stored is what becomes of a number that is printed with %f, from a float, and
// put into a column of type float.
func stored(f float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(float64(float32(f)), 'f', 6, 64), 32)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) { // words are no numbers to the database
		return 0
	}
	return f
}

// floatText is a column of type float as MySQL prints it: six digits, without
// an exponent up to 15 places. Text is as it was printed already; "" for NULL.
func floatText(v any) string {
	switch v := v.(type) {
	case float64:
		six, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 5, 32), 64)
		if err != nil {
			return ""
		}
		if size := math.Abs(six); size != 0 && (size < 1e-15 || size >= 1e15) {
			return strings.Replace(strconv.FormatFloat(six, 'e', -1, 64), "e+", "e", 1)
		}
		return strconv.FormatFloat(six, 'f', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		return v
	}
	return ""
}
