//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// tryPorts binds or connects: NETWORK ADDRESS LOWEST HIGHEST. It says "ok" if the
// port asked for was bound, "range" if the kernel chose one of the range, and
// else what happened.
func tryPorts(args []string) error {
	if len(args) != 4 {
		return errors.New("want NETWORK ADDRESS LOWEST HIGHEST")
	}
	low, err1 := strconv.Atoi(args[2])
	high, err2 := strconv.Atoi(args[3])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	got, asked, err := bind(args[0], args[1])
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		fmt.Println(errno)
	case err != nil:
		return err
	case asked && got != 0:
		fmt.Println("ok")
	case got >= low && got <= high:
		fmt.Println("range")
	default:
		fmt.Println("port", got)
	}
	return nil
}

// bind returns the port that one end got, and whether it was asked for.
func bind(network, addr string) (port int, asked bool, err error) {
	var local net.Addr
	switch network {
	case "udp":
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			return 0, false, err
		}
		defer c.Close()
		local = c.LocalAddr()
	case "connect":
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, false, err
		}
		defer c.Close()
		local = c.LocalAddr()
	default:
		l, err := net.Listen(network, addr)
		if err != nil {
			return 0, false, err
		}
		defer l.Close()
		local = l.Addr()
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return 0, false, err
	}
	_, want, err := net.SplitHostPort(addr)
	return int(at.Port()), network != "connect" && want == strconv.Itoa(int(at.Port())), err
}
