package delay

import (
	"math"
	"math/rand/v2"
	"time"
)

type redVerdict int

const (
	redPass redVerdict = iota
	redEarly
	redFull
)

// redState is random early detection (Floyd and Jacobson, 1993; gentle: 2000) on
// a queue that is counted: what was let in leaves at the rate.
type redState struct {
	red     *RED
	leaving []leaving // in order
	head    int
	bytes   int
	avg     float64
	since   int   // packets let in since the last early drop
	empty   int64 // when the queue became empty, if it is
}

type leaving struct {
	at    int64
	bytes int
}

func (s *redState) set(r *RED, now int64) {
	if r == nil {
		*s = redState{}
		return
	}
	if s.red == nil {
		*s = redState{since: -1, empty: now}
	}
	s.red = r
}

func (s *redState) serial(bytes int) int64 {
	return int64(float64(bytes) * 8 / float64(s.red.Rate) * float64(time.Second))
}

// drain lets go what has left by now.
func (s *redState) drain(now int64) {
	for s.head < len(s.leaving) && s.leaving[s.head].at <= now {
		s.bytes -= s.leaving[s.head].bytes
		s.empty = s.leaving[s.head].at
		s.head++
	}
	if s.head > 64 && s.head*2 >= len(s.leaving) {
		s.leaving = s.leaving[:copy(s.leaving, s.leaving[s.head:])]
		s.head = 0
	}
}

func (s *redState) length() float64 {
	if s.red.Bytes {
		return float64(s.bytes)
	}
	return float64(len(s.leaving) - s.head)
}

// arrive says what becomes of a packet of that many bytes.
func (s *redState) arrive(now int64, bytes int, dice *rand.Rand) redVerdict {
	s.drain(now)
	length := s.length()
	if length == 0 {
		// An idle queue's average decays as if small packets had come.
		const typical = 500
		idle := float64(now-s.empty) / float64(max(s.serial(typical), 1))
		s.avg *= math.Pow(1-s.red.Weight, max(idle, 0))
	}
	s.avg += s.red.Weight * (length - s.avg)

	grown := length + 1
	if s.red.Bytes {
		grown = length + float64(bytes)
	}
	if grown > float64(s.red.Limit) {
		s.since = 0
		return redFull
	}
	if s.early(dice) {
		s.since = 0
		return redEarly
	}
	at := now
	if s.head < len(s.leaving) {
		at = s.leaving[len(s.leaving)-1].at
	}
	s.leaving = append(s.leaving, leaving{at + s.serial(bytes), bytes})
	s.bytes += bytes
	return redPass
}

func (s *redState) early(dice *rand.Rand) bool {
	r := s.red
	var p float64
	switch {
	case s.avg < r.Min:
		s.since = -1
		return false
	case s.avg < r.Max:
		p = r.MaxProb * (s.avg - r.Min) / (r.Max - r.Min)
	case r.Gentle && s.avg < 2*r.Max:
		p = r.MaxProb + (1-r.MaxProb)*(s.avg-r.Max)/r.Max
	default:
		return true
	}
	s.since++
	// Spaced evenly rather than by chance: after 1/p packets one is dropped.
	if left := 1 - float64(s.since)*p; left > 0 {
		p = min(p/left, 1)
	} else {
		p = 1
	}
	return dice.Float64() < p
}
