package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/pcap"
)

// Sizes of what a frame begins with.
const (
	etherHeader = 14
	ip4Header   = 20
	ip6Header   = 40
)

// frameLine is a frame on one line: its time, who to whom, what, how long.
func frameLine(f pcap.Frame) string {
	const clock = "15:04:05.000000"
	return fmt.Sprintf("%s %s, %d bytes", f.Time.Format(clock), frameWords(f.Data), f.Length)
}

func frameWords(b []byte) string {
	if len(b) < etherHeader {
		return "a piece of a frame"
	}
	kind, rest := binary.BigEndian.Uint16(b[12:]), b[etherHeader:]
	switch {
	case kind == unix.ETH_P_IP && len(rest) >= ip4Header:
		return packetWords(rest[12:16], rest[16:20], rest[9], rest[min(len(rest), 4*int(rest[0]&15)):])
	case kind == unix.ETH_P_IPV6 && len(rest) >= ip6Header:
		return packetWords(rest[8:24], rest[24:40], rest[6], rest[ip6Header:])
	case kind == unix.ETH_P_ARP && len(rest) >= 28:
		from, to := addressWord(rest[14:18]), addressWord(rest[24:28])
		if rest[7] == 1 {
			return fmt.Sprintf("ARP %s asks for %s", from, to)
		}
		return fmt.Sprintf("ARP %s is at %s", from, net.HardwareAddr(rest[8:14]))
	}
	return fmt.Sprintf("%s > %s type 0x%04x", net.HardwareAddr(b[6:12]), net.HardwareAddr(b[:6]), kind)
}

func packetWords(from, to []byte, protocol byte, payload []byte) string {
	name := map[byte]string{1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}[protocol]
	if name == "" {
		name = fmt.Sprintf("protocol %d", protocol)
	}
	one, two := addressWord(from), addressWord(to)
	if (protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_UDP) && len(payload) >= 4 {
		one = fmt.Sprintf("%s.%d", one, binary.BigEndian.Uint16(payload))
		two = fmt.Sprintf("%s.%d", two, binary.BigEndian.Uint16(payload[2:]))
	}
	return fmt.Sprintf("%s > %s %s", one, two, name)
}

func addressWord(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}
