package testbed

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// shape is what a LAN does to what passes from one member to another, as in
// `make-lan "…" 10Mb 20ms` of an ns file.
type shape struct {
	line      int
	delay     float64 // ms, one way
	bandwidth float64 // kbit/s, of each member's end; 0: as the link gives
	loss      float64 // 0 to 1, one way
}

// shape reads a LAN's shape:.
func (r *reader) shape(n ast.Node) *shape {
	s := &shape{line: lineOf(n)}
	r.object(n, "shape", []field{
		{"delay", func(n ast.Node) {
			s.delay = r.quantity(n, "delay from member to member: 0 to 20 s, like 20ms", 20_000,
				unit{"ms", 1}, unit{"s", 1000}, unit{"", 1})
		}},
		{"bandwidth", func(n ast.Node) {
			s.bandwidth = r.quantity(n, "bandwidth: up to 100 Gbit/s, like 10Mb", 1e8,
				unit{"kb", 1}, unit{"Mb", 1000}, unit{"Gb", 1e6}, unit{"", 1})
		}},
		{"lossrate", func(n ast.Node) {
			s.loss = r.quantity(n, "loss from member to member: 0 to 1, like 0.01 or 1%", 1, unit{"%", 0.01}, unit{"", 1})
		}},
	})
	return s
}

// unit is what may follow a number, and what it stands for.
type unit struct {
	name  string
	times float64
}

// quantity reads a number with one of these units. The one without a name comes last.
func (r *reader) quantity(n ast.Node, what string, most float64, units ...unit) float64 {
	text := r.text(n, what)
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if v *= u.times; err == nil && v >= 0 && v <= most {
			return v
		}
		break
	}
	r.failAt(n, "expected %s, not %s", what, shown(n))
	return 0
}

// columns are those of virt_lans: what each member's end does, in (r…) and out.
// From one member to another a packet passes two ends.
func (s *shape) columns() Columns {
	if s == nil {
		return nil
	}
	delay := strconv.FormatFloat(s.delay/2, 'f', 2, 64)
	bandwidth := int64(math.Round(s.bandwidth))
	loss := strconv.FormatFloat(1-math.Sqrt(1-s.loss), 'f', 8, 64)
	return Columns{"delay": delay, "bandwidth": bandwidth, "lossrate": loss,
		"rdelay": delay, "rbandwidth": bandwidth, "rlossrate": loss}
}

// linkDelay is the row by which a vnode shapes its end, as Emulab makes it of a
// shaped LAN when it maps the experiment. nth counts those of an experiment from 1.
func (s *shape) linkDelay(e *experiment, l *lan, m member, host string, nth int) Columns {
	row := s.columns()
	row["pid"], row["eid"], row["exptidx"] = e.pid, e.eid, int64(e.idx)
	row["node_id"], row["iface"] = host, orText(l.iface, fmt.Sprintf("eth%d", nth))
	row["ip"], row["netmask"], row["type"] = m.ip, l.mask, "duplex"
	row["vlan"], row["vnode"] = l.name, m.node
	row["pipe"], row["rpipe"] = int64(100*nth), int64(100*nth+10)
	return row
}
