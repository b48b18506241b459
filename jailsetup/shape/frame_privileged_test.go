//go:build linux && privileged

package shape

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/network"
)

// packetSocket opens a packet socket on eth1 inside the jail.
func packetSocket(t *testing.T, j *jail) int {
	t.Helper()
	fd := -1
	j.in(t, func() error {
		ifi, err := net.InterfaceByName("eth1")
		if err != nil {
			return err
		}
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		tv := unix.Timeval{Usec: 50_000}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// frame is an IPv4 frame to everybody with the mark in it.
func frame(from network.MAC, mark string) []byte {
	f := append(bytes.Repeat([]byte{0xff}, 6), from[:]...)
	f = append(f, 0x08, 0x00)
	ip := make([]byte, 20, 60)
	ip[0], ip[8], ip[9] = 0x45, 64, 253
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(mark)))
	copy(ip[12:], []byte{10, 1, 1, 3})
	copy(ip[16:], []byte{10, 1, 1, 255})
	return append(append(f, ip...), mark...)
}

// sniffed listens until the first mark has come, and a moment more.
func sniffed(fd int, first string, others ...string) map[string]bool {
	seen := map[string]bool{}
	deadline := time.Now().Add(patience)
	buf := make([]byte, 2048)
	for time.Now().Before(deadline) {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			if seen[first] {
				return seen
			}
			continue
		}
		for _, mark := range append(others, first) {
			seen[mark] = seen[mark] || bytes.Contains(buf[:n], []byte(mark))
		}
	}
	return seen
}
