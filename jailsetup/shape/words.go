package shape

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Words is a change as people write it, KEY=VALUE each:
//
//	delay=20ms     one way; a number alone is ms
//	jitter=2ms     each packet's delay is delay ± jitter
//	rate=10Mb      bits a second: kb, Mb, Gb; a number alone is kbit/s; 0 or none: no limit
//	loss=0.01      share of packets lost; 1% is the same
//	queue=50       packets that wait for the rate; 100kB: bytes
//	red=on         drop early; off: only what doesn't fit
//	minthresh=5 maxthresh=15 weight=0.002 linterm=10 gentle=on   RED's, in what the queue counts
//	seed=7         the dice begin like this; 0: anyhow
//
// out. or in. before a key means one direction: what the node sends, what it
// gets. The word none alone takes everything away. What isn't named stays.
type Words []string

// side is which directions a word means.
type side int

const (
	both side = iota
	outOnly
	inOnly
)

type word struct {
	text  string
	key   string // delay, rate, …; or none
	side  side
	apply func(*Shape) error
}

// Check says which of the words can't be understood.
func (w Words) Check() error {
	_, err := w.parse()
	return err
}

func (w Words) parse() ([]word, error) {
	if len(w) == 0 {
		return nil, errors.New("want words like delay=20ms rate=10Mb loss=0.01 queue=50, or none")
	}
	var list []word
	for _, text := range w {
		one, err := parseWord(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		list = append(list, one)
	}
	return list, nil
}

func parseWord(text string) (word, error) {
	w := word{text: text}
	rest := text
	if r, ok := strings.CutPrefix(rest, "out."); ok {
		w.side, rest = outOnly, r
	} else if r, ok := strings.CutPrefix(rest, "in."); ok {
		w.side, rest = inOnly, r
	}
	if rest == "none" {
		w.key = rest
		w.apply = func(s *Shape) error { *s = Shape{}; return nil }
		return w, nil
	}
	key, value, ok := strings.Cut(rest, "=")
	if !ok || value == "" {
		return w, errors.New("want KEY=VALUE")
	}
	set, ok := setters()[key]
	if !ok {
		return w, errors.New("not a key (delay, jitter, rate, loss, queue, red, minthresh, maxthresh, weight, linterm, gentle, seed)")
	}
	apply, err := set(value)
	w.key, w.apply = key, apply
	return w, err
}

type setter func(value string) (func(*Shape) error, error)

func setters() map[string]setter {
	return map[string]setter{
		"delay":     of(parseDelay, func(s *Shape, d time.Duration) { s.Delay = d }),
		"jitter":    of(parseDelay, func(s *Shape, d time.Duration) { s.Jitter = d }),
		"rate":      of(parseRate, func(s *Shape, kbit int) { s.Rate = kbit }),
		"loss":      of(parseShare, func(s *Shape, share float64) { s.Loss = share }),
		"queue":     of(parseQueue, func(s *Shape, q Queue) { s.Queue.Slots, s.Queue.Bytes = q.Slots, q.Bytes }),
		"seed":      of(parseSeed, func(s *Shape, n uint64) { s.Seed = n }),
		"red":       of(parseSwitch, setRED),
		"minthresh": ofRED(parsePositive, func(r *RED, v float64) { r.Min = v }),
		"maxthresh": ofRED(parsePositive, func(r *RED, v float64) { r.Max = v }),
		"weight":    ofRED(parsePositive, func(r *RED, v float64) { r.Weight = v }),
		"linterm":   ofRED(parsePositive, func(r *RED, v float64) { r.LinTerm = v }),
		"gentle":    ofRED(parseSwitch, func(r *RED, on bool) { r.Gentle = on }),
	}
}

func of[T any](parse func(string) (T, error), set func(*Shape, T)) setter {
	return func(value string) (func(*Shape) error, error) {
		v, err := parse(value)
		return func(s *Shape) error { set(s, v); return nil }, err
	}
}

func ofRED[T any](parse func(string) (T, error), set func(*RED, T)) setter {
	return func(value string) (func(*Shape) error, error) {
		v, err := parse(value)
		return func(s *Shape) error {
			if s.Queue.RED == nil {
				return errors.New("counts with red=on only, which must come first")
			}
			r := *s.Queue.RED // the old shape keeps its own
			set(&r, v)
			s.Queue.RED = &r
			return nil
		}, err
	}
}

// defaultRED are the original's values, in packets.
func defaultRED() *RED { return &RED{Min: 5, Max: 15, Weight: 0.002, LinTerm: 10} }

func setRED(s *Shape, on bool) {
	switch {
	case !on:
		s.Queue.RED = nil
	case s.Queue.RED == nil:
		s.Queue.RED = defaultRED()
		if s.Queue.Bytes > 0 {
			const typical = 500 // bytes a packet, as the original counts
			s.Queue.RED.Min *= typical
			s.Queue.RED.Max *= typical
		}
	}
}

func parseDelay(v string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		return ms(n)
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, errors.New("want a time: 20ms, 1.5s, 500us, or a number of ms")
	}
	return d, nil
}

// ms is a number of milliseconds, which boss gives with two decimals.
func ms(n float64) (time.Duration, error) {
	if !(n >= 0 && n <= float64(MaxDelay/time.Millisecond)) {
		return 0, fmt.Errorf("want 0 to %d ms", MaxDelay/time.Millisecond)
	}
	return time.Duration(math.Round(n * float64(time.Millisecond))), nil
}

// unit splits a number from the unit after it.
func unit(v string) (float64, string, error) {
	i := len(v)
	for i > 0 && (v[i-1] < '0' || v[i-1] > '9') {
		i--
	}
	n, err := strconv.ParseFloat(v[:i], 64)
	if err != nil || !(n >= 0) || math.IsInf(n, 0) {
		return 0, "", errors.New("want a number, 0 or more, and its unit, such as 10Mb or 100kB")
	}
	return n, v[i:], nil
}

func parseRate(v string) (int, error) {
	if v == "none" {
		return 0, nil
	}
	n, u, err := unit(v)
	if err != nil {
		return 0, err
	}
	// Upper or lower case: everybody means bits and thousands.
	factor, ok := map[string]float64{
		"": 1, "k": 1, "kb": 1, "kbit": 1, "kbps": 1, "kbit/s": 1,
		"m": 1e3, "mb": 1e3, "mbit": 1e3, "mbps": 1e3, "mbit/s": 1e3,
		"g": 1e6, "gb": 1e6, "gbit": 1e6, "gbps": 1e6, "gbit/s": 1e6,
	}[strings.ToLower(u)]
	if !ok {
		return 0, errors.New("want a rate in bits: 500kb, 10Mb, 1Gb, or a number of kbit/s")
	}
	kbit := math.Round(n * factor)
	if kbit > MaxRate || n > 0 && kbit < 1 {
		return 0, fmt.Errorf("want 1 kbit/s to %d Gbit/s", MaxRate/1_000_000)
	}
	return int(kbit), nil
}

func parseShare(v string) (float64, error) {
	n, percent := strings.CutSuffix(v, "%")
	share, err := strconv.ParseFloat(n, 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, errors.New("want a share of the packets: 0 to 1, or 0% to 100%")
	}
	return share, nil
}

func parseQueue(v string) (Queue, error) {
	n, u, err := unit(v)
	if err != nil || n != math.Trunc(n) {
		return Queue{}, errors.New("want a whole number")
	}
	factor, ok := map[string]float64{"": 1, "B": 1, "kB": 1000, "KB": 1000, "KiB": 1024, "MB": 1e6, "MiB": 1 << 20}[u]
	switch {
	case !ok:
		return Queue{}, errors.New("want packets (50) or bytes (1500B, 100kB, 1MB)")
	case u == "" && (n < 1 || n > MaxSlots):
		return Queue{}, fmt.Errorf("want 1 to %d packets", MaxSlots)
	case u == "":
		return Queue{Slots: int(n)}, nil
	case n*factor < minQueue || n*factor > MaxQueue:
		return Queue{}, fmt.Errorf("want %d to %d bytes", minQueue, MaxQueue)
	}
	return Queue{Bytes: int(n * factor)}, nil
}

func parseSeed(v string) (uint64, error) {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, errors.New("want a whole number")
	}
	return n, nil
}

func parseSwitch(v string) (bool, error) {
	switch v {
	case "on", "1", "yes":
		return true, nil
	case "off", "0", "no":
		return false, nil
	}
	return false, errors.New("want on or off")
}

func parsePositive(v string) (float64, error) {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= 0) || math.IsInf(n, 0) {
		return 0, errors.New("want a number, 0 or more")
	}
	return n, nil
}

// Node applies the words to one node's end of a link: without a direction they
// mean both, each in full.
func (w Words) Node(b Both) (Both, error) {
	return w.apply(b, func(one word, b *Both) error {
		if one.side != inOnly {
			if err := one.apply(&b.Out); err != nil {
				return err
			}
		}
		if one.side != outOnly {
			return one.apply(&b.In)
		}
		return nil
	})
}

// Link applies the words to a whole link: without a direction they mean what a
// packet meets on its way from any node to any other. It meets a delay, a loss
// and a queue once, where it is sent, and the rate at both ends, since what
// several nodes send may meet at one.
func (w Words) Link(b Both) (Both, error) {
	return w.apply(b, func(one word, b *Both) error {
		if one.side == inOnly {
			return one.apply(&b.In)
		}
		if err := one.apply(&b.Out); err != nil || one.side == outOnly {
			return err
		}
		clear := Shape{Rate: b.Out.Rate, Delay: b.In.Delay, Jitter: b.In.Jitter, Loss: b.In.Loss, Queue: b.Out.Queue}
		switch key, _, _ := strings.Cut(one.text, "="); key {
		case "delay":
			clear.Delay, clear.Jitter = 0, 0
		case "jitter":
			clear.Jitter = 0
		case "loss":
			clear.Loss = 0
		case "none":
			clear = Shape{}
		}
		clear.Queue.RED = nil
		b.In = clear
		return nil
	})
}

func (w Words) apply(b Both, each func(word, *Both) error) (Both, error) {
	list, err := w.parse()
	if err != nil {
		return b, err
	}
	for _, one := range list {
		if err := each(one, &b); err != nil {
			return b, fmt.Errorf("%q: %w", one.text, err)
		}
	}
	for _, one := range list {
		if one.key == "queue" && b.Out.Rate == 0 && b.In.Rate == 0 {
			return b, fmt.Errorf("%q: needs a rate, without one there is no queue", one.text)
		}
	}
	return b, b.Check()
}
