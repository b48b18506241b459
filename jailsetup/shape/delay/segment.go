package delay

import (
	"encoding/binary"
	"errors"
)

// headerLen is the size of the vnet header before each frame (struct
// virtio_net_hdr, in the machine's byte order).
const headerLen = 10

// Kinds of large frames (linux/virtio_net.h), without the ECN flag.
const (
	gsoNone  = 0
	gsoTCP4  = 1
	gsoTCP6  = 4
	gsoUDPL4 = 5
	gsoECN   = 0x80

	needsChecksum = 1
)

const etherLen = 14

// header is a vnet header.
type header struct {
	flags, gso     byte
	hdrLen         int // bytes of headers, as the sender guessed
	size           int // payload of a segment
	csumAt, csumIn int // where the checksum begins, and its place after that
}

func parseHeader(frame []byte) (header, error) {
	if len(frame) < headerLen+etherLen {
		return header{}, errors.New("frame too short")
	}
	h := header{
		flags: frame[0], gso: frame[1] &^ gsoECN,
		hdrLen: int(binary.NativeEndian.Uint16(frame[2:])), size: int(binary.NativeEndian.Uint16(frame[4:])),
		csumAt: int(binary.NativeEndian.Uint16(frame[6:])), csumIn: int(binary.NativeEndian.Uint16(frame[8:])),
	}
	if h.gso != gsoNone && h.size == 0 {
		return h, errors.New("large frame without a segment size")
	}
	return h, nil
}

// wire is a frame as it would be on a wire.
type wire struct{ packets, bytes int }

func (h header) wire(length int) wire {
	if h.gso == gsoNone || length <= h.hdrLen {
		return wire{1, length}
	}
	n := (length - h.hdrLen + h.size - 1) / h.size
	return wire{n, length + (n-1)*h.hdrLen}
}

// layout is where a large frame's parts begin.
type layout struct {
	ip, transport, payload int
	v6, udp                bool
}

var errLayout = errors.New("large frame of an unknown make")

func layoutOf(b []byte, h header) (layout, error) {
	l := layout{ip: etherLen, udp: h.gso == gsoUDPL4, transport: h.csumAt}
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
	case 0x86dd:
		l.v6 = true
	default:
		return l, errLayout
	}
	if h.flags&needsChecksum == 0 || l.transport < l.ip+20 || l.v6 && l.transport < l.ip+40 || len(b) < l.transport+20 && !l.udp || len(b) < l.transport+8 {
		return l, errLayout
	}
	if h.gso == gsoTCP4 && l.v6 || h.gso == gsoTCP6 && !l.v6 {
		return l, errLayout
	}
	switch {
	case h.gso == gsoUDPL4:
		l.payload = l.transport + 8
	case h.gso == gsoTCP4, h.gso == gsoTCP6:
		l.payload = l.transport + int(b[l.transport+12]>>4)*4
		if l.payload < l.transport+20 {
			return l, errLayout
		}
	default:
		return l, errLayout
	}
	if l.payload >= len(b) {
		return l, errLayout
	}
	return l, nil
}

// maxSegments bounds what one frame costs. The smallest MSS that is in use, 88
// bytes, makes 744 of 64 KiB.
const maxSegments = 1024

// segment cuts a large frame as a device would, and gives each segment, with a
// vnet header of its own, to each. It stands in buf, which the next one uses
// again. Checksums stay unfinished: the kernel finishes them (needsChecksum).
func segment(buf, frame []byte, h header, each func(seg []byte)) error {
	b := frame[headerLen:]
	l, err := layoutOf(b, h)
	if err != nil {
		return err
	}
	if headerLen+l.payload+h.size > len(buf) || (len(b)-l.payload)/h.size >= maxSegments {
		return errLayout
	}
	payload := b[l.payload:]
	for n := 0; len(payload) > 0; n++ {
		part := payload[:min(h.size, len(payload))]
		payload = payload[len(part):]
		seg := buf[:headerLen+l.payload+len(part)]
		clear(seg[:headerLen])
		seg[0] = needsChecksum
		copy(seg[6:headerLen], frame[6:headerLen]) // where the checksum is
		copy(seg[headerLen:], b[:l.payload])
		copy(seg[headerLen+l.payload:], part)
		l.finish(seg[headerLen:], n, n*h.size, len(payload) == 0, len(b)-l.transport)
		each(seg)
	}
	return nil
}

// finish makes the headers of segment n, at the offset in the payload, say what
// it is. whole is the large frame's length from the transport header on.
func (l layout) finish(b []byte, n, offset int, last bool, whole int) {
	length := len(b) - l.transport
	if l.v6 {
		binary.BigEndian.PutUint16(b[l.ip+4:], uint16(len(b)-l.ip-40))
	} else {
		ip := b[l.ip:l.transport]
		binary.BigEndian.PutUint16(ip[2:], uint16(len(b)-l.ip))
		binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(n))
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip)))
	}
	t := b[l.transport:]
	field := t[16:18]
	if l.udp {
		field = t[6:8]
		binary.BigEndian.PutUint16(t[4:], uint16(length))
	} else {
		binary.BigEndian.PutUint32(t[4:], binary.BigEndian.Uint32(t[4:])+uint32(offset))
		const fin, psh, cwr = 0x01, 0x08, 0x80
		if !last {
			t[13] &^= fin | psh
		}
		if n > 0 {
			t[13] &^= cwr
		}
	}
	// The field holds the pseudo header's sum, which has the length in it.
	partial := uint32(binary.BigEndian.Uint16(field)) + uint32(length) + uint32(^uint16(whole))
	binary.BigEndian.PutUint16(field, fold(partial))
}

func sum(b []byte) uint32 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
