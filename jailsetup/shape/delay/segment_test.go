package delay

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// large makes a frame as a stack hands it to a device that cuts: headers of the
// whole, the pseudo header's sum in the checksum field.
func large(kind byte, v6, udp bool, payload, size int) []byte {
	transport := 8
	if !udp {
		transport = 20
	}
	network, etherType := 20, uint16(0x0800)
	if v6 {
		network, etherType = 40, 0x86dd
	}
	b := make([]byte, headerLen+etherLen+network+transport+payload)
	b[0], b[1] = needsChecksum, kind
	binary.NativeEndian.PutUint16(b[2:], uint16(etherLen+network+transport))
	binary.NativeEndian.PutUint16(b[4:], uint16(size))
	binary.NativeEndian.PutUint16(b[6:], uint16(etherLen+network))
	eth := b[headerLen:]
	binary.BigEndian.PutUint16(eth[12:], etherType)
	ip, t := eth[etherLen:], eth[etherLen+network:]
	proto := byte(6)
	if udp {
		proto = 17
	}
	if v6 {
		ip[0] = 0x60
		binary.BigEndian.PutUint16(ip[4:], uint16(transport+payload))
		ip[6] = proto
		copy(ip[8:], bytes.Repeat([]byte{0xfd, 1}, 16))
	} else {
		ip[0], ip[9] = 0x45, proto
		binary.BigEndian.PutUint16(ip[2:], uint16(network+transport+payload))
		binary.BigEndian.PutUint16(ip[4:], 1000)
		copy(ip[12:], []byte{10, 1, 1, 1, 10, 1, 1, 2})
	}
	check := t[16:]
	if udp {
		binary.NativeEndian.PutUint16(b[8:], 6)
		check = t[6:]
		binary.BigEndian.PutUint16(t[4:], uint16(transport+payload))
	} else {
		binary.NativeEndian.PutUint16(b[8:], 16)
		binary.BigEndian.PutUint32(t[4:], 5000)
		t[12], t[13] = 5<<4, 0x19|0x80 // FIN, PSH, ACK; CWR
	}
	binary.BigEndian.PutUint16(check, fold(pseudo(ip, v6, proto, transport+payload)))
	for i := range payload {
		t[transport+i] = byte(i * 7)
	}
	return b
}

func pseudo(ip []byte, v6 bool, proto byte, length int) uint32 {
	addrs := ip[12:20]
	if v6 {
		addrs = ip[8:40]
	}
	return sum(addrs) + uint32(proto) + uint32(length)
}

func tcp4(payload, size int) []byte { return large(gsoTCP4, false, false, payload, size) }
func tcp6(payload, size int) []byte { return large(gsoTCP6, true, false, payload, size) }
func udp4(payload, size int) []byte { return large(gsoUDPL4, false, true, payload, size) }

func TestSegments(t *testing.T) {
	tests := []struct {
		name          string
		frame         []byte
		v6, udp       bool
		payload, size int
	}{
		{"TCP over IPv4", tcp4(3000, 1448), false, false, 3000, 1448},
		{"TCP over IPv6", tcp6(64000, 1428), true, false, 64000, 1428},
		{"UDP", udp4(2500, 1000), false, true, 2500, 1000},
		{"one segment", tcp4(100, 1448), false, false, 100, 1448},
		{"with ECN", large(gsoTCP4|gsoECN, false, false, 3000, 1448), false, false, 3000, 1448},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := parseHeader(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			want := (tt.payload + tt.size - 1) / tt.size
			if w := h.wire(len(tt.frame) - headerLen); w.packets != want {
				t.Errorf("%d packets on the wire, want %d", w.packets, want)
			}
			var data []byte
			n, wireBytes := 0, 0
			buf := make([]byte, maxFrame)
			err = segment(buf, tt.frame, h, func(seg []byte) {
				last := len(data)+tt.size >= tt.payload
				data = append(data, checkSegment(t, seg, tt.v6, tt.udp, n, n*tt.size, last)...)
				wireBytes += len(seg) - headerLen
				n++
			})
			if err != nil || n != want {
				t.Fatalf("%d segments, want %d: %v", n, want, err)
			}
			if w := h.wire(len(tt.frame) - headerLen); w.bytes != wireBytes {
				t.Errorf("%d bytes on the wire, counted %d", wireBytes, w.bytes)
			}
			whole := tt.frame[len(tt.frame)-tt.payload:]
			if !bytes.Equal(data, whole) {
				t.Error("the payload is another one")
			}
		})
	}
}

// checkSegment holds a segment's headers against what a receiver checks, and
// gives its payload.
func checkSegment(t *testing.T, seg []byte, v6, udp bool, n, offset int, last bool) []byte {
	t.Helper()
	h, err := parseHeader(seg)
	if err != nil || h.gso != gsoNone || h.flags != needsChecksum {
		t.Fatalf("segment %d: header %+v, %v", n, h, err)
	}
	eth := seg[headerLen:]
	ip, proto := eth[etherLen:], byte(6)
	if udp {
		proto = 17
	}
	tr := eth[h.csumAt:]
	if v6 {
		if int(binary.BigEndian.Uint16(ip[4:])) != len(tr) {
			t.Errorf("segment %d: IPv6 length %d of %d", n, binary.BigEndian.Uint16(ip[4:]), len(tr))
		}
	} else {
		if int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || binary.BigEndian.Uint16(ip[4:]) != uint16(1000+n) {
			t.Errorf("segment %d: IPv4 length or id wrong", n)
		}
		if fold(sum(ip[:20])) != 0xffff {
			t.Errorf("segment %d: IPv4 checksum wrong", n)
		}
	}
	if got, want := binary.BigEndian.Uint16(tr[h.csumIn:]), fold(pseudo(ip, v6, proto, len(tr))); got != want {
		t.Errorf("segment %d: pseudo header's sum %#x, want %#x", n, got, want)
	}
	if udp {
		return tr[8:]
	}
	if seq := binary.BigEndian.Uint32(tr[4:]); seq != uint32(5000+offset) {
		t.Errorf("segment %d: sequence %d", n, seq)
	}
	flags := tr[13]
	if (flags&0x09 != 0) != last || (flags&0x80 != 0) != (n == 0) || flags&0x10 == 0 {
		t.Errorf("segment %d: flags %#x", n, flags)
	}
	return tr[20:]
}
