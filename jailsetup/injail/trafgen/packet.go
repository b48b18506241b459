package trafgen

import (
	"encoding/binary"
	"time"
)

// A packet begins with a header of 28 bytes, big endian, if it is that long:
//
//	0  magic    "EJTG"
//	4  run      chosen at random at each set-up of the source
//	8  size     of the whole packet: over TCP it says where the next one begins
//	12 seq      counts from 0 within the run
//	20 sent     nanoseconds since the set-up, by the source's monotonic clock
//
// The rest is zeros. Shorter packets are all zeros and counted only. A sink
// takes packets of other generators and counts them.
const (
	headerLen = 28
	magic     = 0x454a5447
)

type header struct {
	run  uint32
	size uint32
	seq  uint64
	sent int64
}

// put writes the header at the beginning of a packet, if it fits.
func (h header) put(packet []byte) {
	if len(packet) < headerLen {
		return
	}
	binary.BigEndian.PutUint32(packet[0:], magic)
	binary.BigEndian.PutUint32(packet[4:], h.run)
	binary.BigEndian.PutUint32(packet[8:], uint32(len(packet)))
	binary.BigEndian.PutUint64(packet[12:], h.seq)
	binary.BigEndian.PutUint64(packet[20:], uint64(h.sent))
}

// parseHeader reads the header; false: not one of ours.
func parseHeader(packet []byte) (header, bool) {
	if len(packet) < headerLen || binary.BigEndian.Uint32(packet) != magic {
		return header{}, false
	}
	return header{
		run:  binary.BigEndian.Uint32(packet[4:]),
		size: binary.BigEndian.Uint32(packet[8:]),
		seq:  binary.BigEndian.Uint64(packet[12:]),
		sent: int64(binary.BigEndian.Uint64(packet[20:])),
	}, true
}

// window is how far back a late packet can be told from a repeated one.
const window = 4096

// tracker follows one run of one source through its sequence numbers.
type tracker struct {
	run     uint32
	first   uint64              // the first seen: what comes from before it was never missed
	next    uint64              // one above the highest seen
	seen    [window / 64]uint64 // a bit for each of the window numbers below next
	epoch   time.Time           // of the run's first packet: times of arrival count from here
	transit int64               // of the packet before, ns, but for a constant: clocks differ
	jitter  float64             // ns, smoothed as RFC 3550 §6.4.1 says
	started bool
}

// add takes one packet in and counts what it shows.
func (t *tracker) add(h header, now time.Time, c *counts) {
	if !t.started || h.run != t.run {
		*t = tracker{run: h.run, first: h.seq, next: h.seq, started: true, epoch: now, transit: -h.sent, jitter: t.jitter}
	}
	switch {
	case h.seq >= t.next:
		c.lost += int64(h.seq - t.next)
		t.advance(h.seq)
	case t.next-h.seq > window || t.bit(h.seq):
		c.duplicates++
	default:
		t.set(h.seq)
		c.reordered++
		if h.seq >= t.first {
			c.lost-- // counted when it was passed over
		}
	}
	transit := int64(now.Sub(t.epoch)) - h.sent
	d := transit - t.transit
	t.transit = transit
	if d < 0 {
		d = -d
	}
	t.jitter += (float64(d) - t.jitter) / 16
	c.jitter = t.jitter
}

// advance moves the window up to seq and marks it.
func (t *tracker) advance(seq uint64) {
	if seq-t.next >= window {
		clear(t.seen[:])
	} else {
		for s := t.next; s <= seq; s++ {
			t.seen[s/64%uint64(len(t.seen))] &^= 1 << (s % 64)
		}
	}
	t.next = seq + 1
	t.set(seq)
}

func (t *tracker) bit(seq uint64) bool {
	return t.seen[seq/64%uint64(len(t.seen))]&(1<<(seq%64)) != 0
}

func (t *tracker) set(seq uint64) {
	t.seen[seq/64%uint64(len(t.seen))] |= 1 << (seq % 64)
}
