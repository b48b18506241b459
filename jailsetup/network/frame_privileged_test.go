//go:build linux && privileged

package network

import (
	"encoding/binary"
	"net/netip"
)

// Frames as an attacker writes them. Each carries a mark by which the other end
// knows it.

var broadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func ethernet(dst, src MAC, etherType uint16, payload ...[]byte) []byte {
	f := append(append([]byte{}, dst[:]...), src[:]...)
	f = append(f, be16(etherType)...)
	for _, p := range payload {
		f = append(f, p...)
	}
	return pad(f, 60)
}

func pad(f []byte, n int) []byte {
	for len(f) < n {
		f = append(f, 0)
	}
	return f
}

// vlan puts an 802.1Q tag into a frame.
func vlan(f []byte, id uint16) []byte {
	out := append([]byte{}, f[:12]...)
	out = append(append(out, be16(0x8100)...), be16(id)...)
	return append(out, f[12:]...)
}

func ip4(src, dst netip.Addr, proto byte, payload []byte) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	copy(h[12:], src.AsSlice())
	copy(h[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, payload...)
}

func udp4(src, dst netip.Addr, sport, dport uint16, mark string) []byte {
	u := append(be16(sport), be16(dport)...)
	u = append(u, be16(uint16(8+len(mark)))...)
	u = append(u, 0, 0)
	return ip4(src, dst, 17, append(u, mark...))
}

func arp(op uint16, sha MAC, spa netip.Addr, tha MAC, tpa netip.Addr, mark string) []byte {
	a := append([]byte{0, 1, 8, 0, 6, 4}, be16(op)...)
	a = append(append(a, sha[:]...), spa.AsSlice()...)
	a = append(append(a, tha[:]...), tpa.AsSlice()...)
	return append(a, mark...)
}

func ip6(src, dst netip.Addr, next byte, payload []byte) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 255
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	copy(h[8:], src.AsSlice())
	copy(h[24:], dst.AsSlice())
	return append(h, payload...)
}

func udp6(src, dst netip.Addr, sport, dport uint16, mark string) []byte {
	u := append(be16(sport), be16(dport)...)
	u = append(u, be16(uint16(8+len(mark)))...)
	u = append(u, 0, 0)
	return ip6(src, dst, 17, append(u, mark...))
}

// icmp6 makes a message with 16 bytes of target (or zeroes) behind its header.
func icmp6(src, dst netip.Addr, kind byte, target netip.Addr, mark string) []byte {
	body := make([]byte, 24)
	body[0] = kind
	if target.IsValid() {
		copy(body[8:], target.AsSlice())
	}
	return ip6(src, dst, 58, append(body, mark...))
}

// inHopByHop puts an extension header before the payload of an IPv6 packet.
func inHopByHop(p []byte) []byte {
	out := append([]byte{}, p[:40]...)
	next := out[6]
	out[6] = 0
	binary.BigEndian.PutUint16(out[4:], uint16(len(p)-40+8))
	out = append(out, next, 0, 1, 4, 0, 0, 0, 0)
	return append(out, p[40:]...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
