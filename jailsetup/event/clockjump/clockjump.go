// Package clockjump makes times for tests of what happens when the machine's
// clock is set.
//
// A time of time.Now holds two readings: the wall clock's, which people and NTP
// set, and the monotonic clock's, which nobody does. A time that was kept while
// the clock was set an hour forth is, beside the times that come after, one whose
// wall reading is an hour behind:
//
//	due = clockjump.Behind(due, time.Hour) // as if the clock had been set forth
//
// Code that counts by the monotonic reading goes on as if nothing had happened.
// Code that has stripped it, or keeps seconds since 1970, waits an hour or
// doesn't wait at all.
package clockjump

import (
	"fmt"
	"time"
	"unsafe"
)

// layout is time.Time's, of a value with a monotonic reading: a flag, 33 bits of
// seconds, 30 bits of nanoseconds.
type layout struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

const secondBits = 30

// Behind returns t with the wall clock's reading by d earlier, the monotonic one
// as it is. d is in whole seconds; a negative one stands for a clock that was set
// back. It panics where t has no monotonic reading: there is nothing to test then.
func Behind(t time.Time, d time.Duration) time.Time {
	moved := t
	l := (*layout)(unsafe.Pointer(&moved))
	l.wall -= uint64(int64(d/time.Second) << secondBits)
	if got := t.Round(0).Sub(moved.Round(0)); got != d || moved.Sub(t) != 0 || !moved.Equal(t) {
		panic(fmt.Sprintf("time %v has no monotonic reading, or is laid out anew: moved by %v and %v", t, got, moved.Sub(t)))
	}
	return moved
}
