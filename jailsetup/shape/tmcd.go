package shape

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"emujail/protocol"
)

// Wanted is what tmcd asks for on one interface of a node.
type Wanted struct {
	MAC  string // of the interface: 12 hexadecimal digits, lower case
	Link string // its name, for people
	Both Both
}

// FromTmcd makes of a node's linkdelay and delay records what is wanted on
// which of its interfaces, whose MACs are given. A record that can't be done is
// an error that names it.
//
// Of a queue's parameters those count that the original's shaper took: length,
// thresholds, weight, linterm, gentle.
func FromTmcd(own []string, links protocol.LinkDelays, delays protocol.Delays) ([]Wanted, error) {
	macs := make([]string, 0, len(own))
	for _, m := range own {
		macs = append(macs, plainMAC(m))
	}
	var list []Wanted
	add := func(w Wanted) error {
		if slices.ContainsFunc(list, func(o Wanted) bool { return o.MAC == w.MAC }) {
			return fmt.Errorf("link %s: its interface %s is shaped twice", w.Link, w.MAC)
		}
		if err := w.Both.Check(); err != nil {
			return fmt.Errorf("link %s: %w", w.Link, err)
		}
		list = append(list, w)
		return nil
	}
	for _, l := range links {
		w, err := fromLinkDelay(macs, l)
		if err == nil {
			err = add(w)
		}
		if err != nil {
			return nil, fmt.Errorf("tmcd's linkdelay: %w", err)
		}
	}
	for _, d := range delays {
		if d.NoShaping {
			continue
		}
		w, err := fromDelay(macs, d)
		if err == nil {
			err = add(w)
		}
		if err != nil {
			return nil, fmt.Errorf("tmcd's delay: %w", err)
		}
	}
	return list, nil
}

// plainMAC takes away what people put between the digits.
func plainMAC(m string) string {
	return strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(m))
}

func fromLinkDelay(own []string, l protocol.LinkDelay) (Wanted, error) {
	w := Wanted{MAC: plainMAC(l.IFace), Link: l.LinkName}
	if !slices.Contains(own, w.MAC) {
		return w, fmt.Errorf("link %s: interface %s is none of this node's", l.LinkName, l.IFace)
	}
	var err error
	if w.Both.Out, err = fromPipe(l.Pipe, l.Queue, l.RED, 0); err != nil {
		return w, fmt.Errorf("link %s: %w", l.LinkName, err)
	}
	switch l.Type {
	case "simplex":
		return w, nil
	case "duplex":
		if w.Both.In, err = fromPipe(l.RPipe, l.Queue, l.RED, 0); err != nil {
			return w, fmt.Errorf("link %s, way back: %w", l.LinkName, err)
		}
		return w, nil
	}
	return w, fmt.Errorf("link %s: type %q: want simplex or duplex", l.LinkName, l.Type)
}

// fromDelay takes a record for a delay node, whose one interface is this
// node's: what comes in at INT0 goes through PIPE0, at INT1 through PIPE1.
func fromDelay(own []string, d protocol.Delay) (Wanted, error) {
	pipe0, err0 := fromPipe(d.Pipe0, d.Queue0, d.RED0, d.Backfill0)
	pipe1, err1 := fromPipe(d.Pipe1, d.Queue1, d.RED1, d.Backfill1)
	if err := errors.Join(err0, err1); err != nil {
		return Wanted{}, fmt.Errorf("link %s: %w", d.LinkName, err)
	}
	at0, at1 := slices.Contains(own, plainMAC(d.INT0)), slices.Contains(own, plainMAC(d.INT1))
	switch {
	case at0 && at1:
		return Wanted{}, fmt.Errorf("link %s: a jail as delay node between %s and %s is not provided (links are shaped where their nodes are: linkdelay)", d.LinkName, d.INT0, d.INT1)
	case at0:
		return Wanted{plainMAC(d.INT0), d.LinkName, Both{Out: pipe0, In: pipe1}}, nil
	case at1:
		return Wanted{plainMAC(d.INT1), d.LinkName, Both{Out: pipe1, In: pipe0}}, nil
	}
	return Wanted{}, fmt.Errorf("link %s: interfaces %s and %s are none of this node's", d.LinkName, d.INT0, d.INT1)
}

// fromPipe makes a direction of a pipe. Backfill is traffic that the experiment
// doesn't see, taken off the rate.
func fromPipe(p protocol.Pipe, q protocol.Queue, red bool, backfill int) (Shape, error) {
	s := Shape{Rate: p.BW, Loss: p.PLR}
	var err error
	if s.Delay, err = ms(p.Delay); err != nil {
		return s, fmt.Errorf("delay %v: %w", p.Delay, err)
	}
	if backfill > 0 && s.Rate > 0 {
		if s.Rate -= backfill; s.Rate < 1 {
			return s, fmt.Errorf("backfill of %d kbit/s leaves nothing of %d", backfill, p.BW)
		}
	}
	if q.QInBytes {
		s.Queue.Bytes = q.Limit
	} else {
		s.Queue.Slots = q.Limit
	}
	if red && s.Rate > 0 { // without a rate there is no queue to drop from
		s.Queue.RED = fromRED(q)
	}
	return s, s.Check()
}

// fromRED takes what is named, and the original's defaults.
func fromRED(q protocol.Queue) *RED {
	r := defaultRED()
	if q.QInBytes {
		const typical = 500
		r.Min, r.Max = r.Min*typical, r.Max*typical
	}
	if q.MaxThresh > 0 {
		r.Min, r.Max = float64(q.MinThresh), float64(q.MaxThresh)
	}
	if q.Weight > 0 {
		r.Weight = q.Weight
	}
	if q.LinTerm > 0 {
		r.LinTerm = float64(q.LinTerm)
	}
	r.Gentle = q.Gentle != 0
	return r
}
