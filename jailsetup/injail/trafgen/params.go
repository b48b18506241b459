package trafgen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Limits and initial values of jail.md §6.3.
const (
	MaxSize     = 65536          // bytes of payload a packet
	MaxInterval = 24 * time.Hour // between packets

	initialSize     = 1024
	initialInterval = 100 * time.Millisecond
)

// Params are what START and MODIFY set: how large, how often, which TOS.
type Params struct {
	Size int // bytes of payload a packet or write
	// Interval is the time between packets in nanoseconds. 0: as fast as
	// possible. Not a time.Duration: at 100 Mbit/s a whole nanosecond is
	// up to half a percent of it.
	Interval float64
	// Rate is the sticky rate in kbit/s: a change of size alone keeps it.
	// 0: the interval was given, not a rate.
	Rate float64
	TOS  int // IP TOS byte, -1: not set
}

// NewParams returns the values that hold before the first event.
func NewParams() Params {
	return Params{Size: initialSize, Interval: float64(initialInterval), TOS: -1}
}

// Apply returns p changed by the arguments of an event: words KEY=VALUE in any
// order, unknown ones ignored. Either all of them hold or, on an error, none.
func (p Params) Apply(args string) (Params, error) {
	interval, rate := -1.0, -1.0
	for word := range strings.FieldsSeq(args) {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		var err error
		switch key {
		case "PACKETSIZE":
			err = setInt(&p.Size, value)
		case "IPTOS":
			err = setInt(&p.TOS, value)
		case "INTERVAL":
			interval, err = parseNumber(value)
		case "RATE":
			rate, err = parseNumber(value)
		}
		if err != nil {
			return Params{}, fmt.Errorf("%s: %w", word, err)
		}
	}
	if p.Size > MaxSize {
		return Params{}, fmt.Errorf("PACKETSIZE=%d: at most %d", p.Size, MaxSize)
	}
	if p.TOS > 255 {
		return Params{}, fmt.Errorf("IPTOS=%d: one byte", p.TOS)
	}
	return p.pace(interval, rate)
}

// pace sets the interval: an explicit one wins and ends the sticky rate, else
// a rate makes one, else the sticky rate makes a new one for the new size.
func (p Params) pace(interval, rate float64) (Params, error) {
	switch {
	case interval >= 0:
		p.Interval, p.Rate = interval*float64(time.Second), 0
	case rate == 0:
		return Params{}, fmt.Errorf("RATE=0: no packet would ever be sent; use STOP")
	case rate > 0:
		p.Rate = rate
	}
	if p.Rate > 0 {
		if p.Size == 0 {
			return Params{}, fmt.Errorf("a rate of %v kbit/s with packets of 0 bytes", p.Rate)
		}
		p.Interval = 8 * float64(p.Size) / (p.Rate * 1000) * float64(time.Second)
	}
	if !(p.Interval <= float64(MaxInterval)) { // NaN too
		return Params{}, fmt.Errorf("interval of %.0f s: at most %.0f", p.Interval/1e9, MaxInterval.Seconds())
	}
	return p, nil
}

// setInt sets *to unless the value is negative, which means keep.
func setInt(to *int, value string) error {
	n, err := strconv.ParseInt(value, 0, 32)
	if err != nil {
		return errNumber
	}
	if n >= 0 {
		*to = int(n)
	}
	return nil
}

// parseNumber takes decimal, 0x and octal integers, and floating numbers.
func parseNumber(value string) (float64, error) {
	if n, err := strconv.ParseInt(value, 0, 64); err == nil {
		return float64(n), nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errNumber
	}
	return f, nil
}

const errNumber = constError("not a number")

// constError is an error that nobody can change.
type constError string

func (e constError) Error() string { return string(e) }
