//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
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
	if network[:3] == "udp" {
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

// tryCall calls NETWORK ADDRESS, from LOCAL if that is given, and says what is
// answered, or "no".
func tryCall(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("want NETWORK ADDRESS [LOCAL]")
	}
	const patience = time.Second
	d := net.Dialer{Timeout: patience}
	if len(args) == 3 {
		local, err := netip.ParseAddrPort(args[2])
		if err != nil {
			return err
		}
		if d.LocalAddr = net.Addr(net.TCPAddrFromAddrPort(local)); args[0][:3] == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(local)
		}
	}
	c, err := d.Dial(args[0], args[1])
	if err != nil {
		fmt.Println("no")
		return nil
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte("?")) // to who has answered already and is gone, as well
	answer := make([]byte, 64)
	n, err := c.Read(answer)
	if err != nil || n == 0 {
		fmt.Println("no")
		return nil
	}
	fmt.Println(string(answer[:n]))
	return nil
}
