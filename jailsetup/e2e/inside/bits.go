//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"
)

// tryBit uses what a permission bit allows (jail.md §2.4) and says "yes", or why
// not.
func tryBit(args []string) error {
	if len(args) < 1 {
		return errors.New("want NAME")
	}
	try := map[string]func() error{
		"SYSVIPC":  sysv,
		"INETRAW":  func() error { return socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP) },
		"BPFRO":    func() error { return socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0) },
		"IPFW":     packetFilter,
		"NFQUEUE":  bindQueue, // what divert sockets are here
		"ROUTING":  netAdmin,
		"ROUTE":    addRoute,
		"SHAPER":   addShaper,
		"IPTABLES": olderPacketFilter,
		"MROUTE":   multicastRouter,
		"DEVMEM":   memory, "INADDRANY": wildcard,
	}[args[0]]
	if try == nil {
		return fmt.Errorf("no bit %q", args[0])
	}
	err := try()
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Println("yes")
	case errors.As(err, &errno):
		fmt.Println(errno)
	default:
		fmt.Println(err)
	}
	return nil
}

// alike is what all attempts came to; if that isn't the same, each.
func alike(tries ...func() error) error {
	var all []string
	var last error
	for _, try := range tries {
		last = try()
		all = append(all, fmt.Sprint(last))
	}
	if len(slices.Compact(slices.Clone(all))) == 1 {
		return last
	}
	return errors.New(strings.Join(all, ", "))
}

func socket(domain, kind, proto int) error {
	fd, err := syscall.Socket(domain, kind|syscall.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	return syscall.Close(fd)
}

// netAdmin sets a link's flags, which CAP_NET_ADMIN is for.
func netAdmin() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP // as it is
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

func memory() error {
	f, err := os.Open("/dev/mem")
	if err != nil {
		return err
	}
	return f.Close()
}

// wildcard binds to every address and says "yes" if the socket has every one.
func wildcard() error {
	for _, network := range []string{"tcp4", "tcp"} {
		l, err := net.Listen(network, ":0")
		if err != nil {
			return err
		}
		defer l.Close()
		if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsUnspecified() {
			return fmt.Errorf("%s", ip)
		}
	}
	u, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		return err
	}
	defer u.Close()
	if ip := u.LocalAddr().(*net.UDPAddr).IP; !ip.IsUnspecified() {
		return fmt.Errorf("%s", ip)
	}
	return nil
}
