//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What CAP_NET_ADMIN is for, each thing by the door that programs use.

// packetFilter sets a rule that drops, sees it drop, and takes it away.
func packetFilter() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	open := func() bool {
		c, err := net.DialTimeout("tcp4", l.Addr().String(), 500*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	if !open() {
		return errors.New("no connection before there is a rule")
	}
	takeAway, err := drop(uint16(l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		return err
	}
	if open() {
		return errors.Join(errors.New("the rule drops nothing"), takeAway())
	}
	if err := takeAway(); err != nil {
		return err
	}
	if !open() {
		return errors.New("no connection after the rule")
	}
	return nil
}

// drop makes a table of its own that drops what comes for a TCP port.
func drop(port uint16) (takeAway func() error, err error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	table := c.AddTable(&nftables.Table{Name: "inside", Family: nftables.TableFamilyINet})
	chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	return func() error {
		c.DelTable(table)
		return c.Flush()
	}, c.Flush()
}

// tryDrop sets the rule for a port and leaves it.
func tryDrop(args []string) error {
	if len(args) != 1 {
		return errors.New("want PORT")
	}
	port, err := strconv.ParseUint(args[0], 10, 16)
	if err != nil {
		return err
	}
	_, err = drop(uint16(port))
	return err
}

// bindQueue asks for the packets that a rule diverts to queue 0 (NFQUEUE).
func bindQueue() error {
	const (
		config     = 3<<8 | 2 // NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG
		attrConfig = 1        // NFQA_CFG_CMD
		bind       = 1        // NFQNL_CFG_CMD_BIND
	)
	request := nl.NewNetlinkRequest(config, unix.NLM_F_ACK)
	request.AddData(&nl.Nfgenmsg{}) // queue 0
	request.AddData(nl.NewRtAttr(attrConfig, []byte{bind, 0, 0, unix.AF_INET}))
	_, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	return err
}

// addRoute adds a route and takes it away.
func addRoute() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	to := net.IPNet{IP: net.IPv4(198, 51, 100, 0), Mask: net.CIDRMask(24, 32)}
	route := netlink.Route{LinkIndex: lo.Attrs().Index, Dst: &to, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(&route); err != nil {
		return err
	}
	return netlink.RouteDel(&route)
}

// addShaper shapes what the loopback device carries, and takes that away.
func addShaper() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	shaper := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       1 << 20, Limit: 1 << 20, Buffer: 1 << 16,
	}
	if err := netlink.QdiscAdd(shaper); err != nil {
		return err
	}
	return netlink.QdiscDel(shaper)
}

// option sets a socket option of a raw socket, of one word.
func option(family, proto, level, name int) func() error {
	return func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		word := int32(1)
		_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&word)), unsafe.Sizeof(word), 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
}

// olderPacketFilter tries iptables' way, by an option of a raw socket. Who may do
// so is told that what he hands over is no table.
func olderPacketFilter() error {
	const replace = 64 // IPT_SO_SET_REPLACE and IP6T_SO_SET_REPLACE
	return alike(option(unix.AF_INET, unix.IPPROTO_RAW, unix.SOL_IP, replace),
		option(unix.AF_INET6, unix.IPPROTO_RAW, unix.SOL_IPV6, replace))
}

// multicastRouter becomes it, by an option of a raw socket.
func multicastRouter() error {
	const begin = 200 // MRT_INIT and MRT6_INIT
	return alike(option(unix.AF_INET, unix.IPPROTO_IGMP, unix.SOL_IP, begin),
		option(unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.SOL_IPV6, begin))
}
