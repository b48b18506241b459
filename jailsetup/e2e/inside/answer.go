//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tryAnswer answers whoever calls, at each NETWORK ADDRESS pair, with his own
// address as it is seen here, until it is killed.
func tryAnswer(args []string) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return errors.New("want pairs NETWORK ADDRESS")
	}
	failed := make(chan error)
	for i := 0; i < len(args); i += 2 {
		serve, err := answerAt(args[i], args[i+1])
		if err != nil {
			return err
		}
		go func() { failed <- serve() }()
	}
	return <-failed
}

func answerAt(network, addr string) (serve func() error, err error) {
	if strings.HasPrefix(network, "udp") {
		c, err := net.ListenPacket(network, addr)
		return func() error { return answerPackets(c) }, err
	}
	l, err := net.Listen(network, addr)
	return func() error { return answerCalls(l) }, err
}

func answerPackets(c net.PacketConn) error {
	buf := make([]byte, 64)
	for {
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		// What can't be answered is seen by who waits for it.
		_, _ = c.WriteTo([]byte(seen(from)), from)
	}
}

func answerCalls(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprint(c, seen(c.RemoteAddr()))
		c.Close()
	}
}

// seen is an address without its port and zone.
func seen(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return err.Error()
	}
	return at.Addr().Unmap().WithZone("").String()
}

// patience is how long an answer is waited for.
const patience = 700 * time.Millisecond

// tryCall calls NETWORK ADDRESS, from LOCAL if that is given, and says what is
// answered, or "no".
func tryCall(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("want NETWORK ADDRESS [LOCAL]")
	}
	to, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	var local netip.AddrPort
	if len(args) == 3 {
		if local, err = netip.ParseAddrPort(args[2]); err != nil {
			return err
		}
	}
	call := callStream
	if strings.HasPrefix(args[0], "udp") {
		call = callDatagram
	}
	answer, err := call(to, local)
	if err != nil || answer == "" {
		answer = "no"
	}
	fmt.Println(answer)
	return nil
}

func callStream(to, local netip.AddrPort) (string, error) {
	d := net.Dialer{Timeout: patience}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	return string(answer[:n]), err
}

// callDatagram takes an answer from whatever address it comes. Without a local
// address it binds nothing, as no socket of package net does that isn't connected.
func callDatagram(to, local netip.AddrPort) (string, error) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return "", err
	}
	if local.IsValid() {
		if err := unix.Bind(fd, sockaddr(local)); err != nil {
			return "", err
		}
	}
	if err := unix.Sendto(fd, []byte("?"), 0, sockaddr(to)); err != nil {
		return "", err
	}
	answer := make([]byte, 64)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	return string(answer[:max(n, 0)]), err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if i, err := net.InterfaceByName(a.Addr().Zone()); err == nil {
		s.ZoneId = uint32(i.Index)
	}
	return s
}
