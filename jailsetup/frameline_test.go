package main

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestFrameWords(t *testing.T) {
	const macs = "020a01010301" + "020a01010201"
	tests := []struct{ name, frame, want string }{
		{"arp request", macs + "0806" + "0001080006040001" + "020a01010201" + "0a010102" + "000000000000" + "0a010103", "ARP 10.1.1.2 asks for 10.1.1.3"},
		{"arp answer", macs + "0806" + "0001080006040002" + "020a01010201" + "0a010102" + "000000000000" + "0a010103", "ARP 10.1.1.2 is at 02:0a:01:01:02:01"},
		{"ping", macs + "0800" + "4500001c00000000400100000a0101020a010103" + "0800", "10.1.1.2 > 10.1.1.3 ICMP"},
		{"tcp", macs + "0800" + "4500002800000000400600000a0101020a010103" + "d4310016", "10.1.1.2.54321 > 10.1.1.3.22 TCP"},
		{"udp, cut", macs + "0800" + "4500002800000000401100000a0101020a010103" + "d4", "10.1.1.2 > 10.1.1.3 UDP"},
		{"a header's length that lies", macs + "0800" + "4f00002800000000400600000a0101020a010103" + "d4310016", "10.1.1.2 > 10.1.1.3 TCP"},
		{"ipv6", macs + "86dd" + "6000000000003aff" + "fe800000000000000000000000000001" + "ff020000000000000000000000000002" + "85", "fe80::1 > ff02::2 ICMPv6"},
		{"another protocol", macs + "0800" + "4500001c00000000402f00000a0101020a010103", "10.1.1.2 > 10.1.1.3 protocol 47"},
		{"another type", macs + "88cc0000", "02:0a:01:01:02:01 > 02:0a:01:01:03:01 type 0x88cc"},
		{"ip, cut", macs + "0800" + "45", "02:0a:01:01:02:01 > 02:0a:01:01:03:01 type 0x0800"},
		{"nothing", "", "a piece of a frame"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(tt.frame, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := frameWords(b); got != tt.want {
				t.Errorf("says %q, want %q", got, tt.want)
			}
		})
	}
}
