package network

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The words that rules are made of. A rule is a list of expressions; the first
// one that doesn't match ends it, and a header that isn't there doesn't match.
// Every chain that decides about a jail's frames has the policy drop, so what no
// rule knows is dropped.
//
// Keys of concatenated sets are loaded side by side into 32-bit registers, each
// field padded to four bytes. A gap between them gives ENODATA at Flush, with no
// hint at the place.
const (
	reg0  = unix.NFT_REG32_00
	reg1  = reg0 + 1
	reg4  = reg0 + 4
	reg6  = reg0 + 6
	regsz = 4 // bytes a register
)

type rule []expr.Any

// when joins matches and verdicts to a rule.
func when(parts ...rule) rule {
	var r rule
	for _, p := range parts {
		r = append(r, p...)
	}
	return r
}

func accept() rule { return rule{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() rule   { return rule{&expr.Verdict{Kind: expr.VerdictDrop}} }

// resetTCP and prohibit tell a jail at once that it may not; a plain drop would
// let it wait. Only for the inet family.
func resetTCP() rule {
	return when(l4proto(unix.IPPROTO_TCP), rule{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
}

func prohibit() rule {
	return rule{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
}

func notrack() rule { return rule{&expr.Notrack{}} }

func is(reg uint32, data ...byte) rule {
	return rule{&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: data}}
}

func isNot(reg uint32, data ...byte) rule {
	return rule{&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: data}}
}

func masked(reg uint32, mask []byte) rule {
	return rule{&expr.Bitwise{
		SourceRegister: reg, DestRegister: reg, Len: uint32(len(mask)),
		Mask: mask, Xor: make([]byte, len(mask)),
	}}
}

func in(reg uint32, s *nftables.Set) rule {
	return rule{&expr.Lookup{SourceRegister: reg, SetName: s.Name}}
}

// mapped replaces what is in from by what the map has for it, in to.
func mapped(from, to uint32, s *nftables.Set) rule {
	return rule{&expr.Lookup{SourceRegister: from, DestRegister: to, IsDestRegSet: true, SetName: s.Name}}
}

func load(base expr.PayloadBase, offset, length, reg uint32) rule {
	return rule{&expr.Payload{OperationType: expr.PayloadLoad, DestRegister: reg, Base: base, Offset: offset, Len: length}}
}

func link(offset, length, reg uint32) rule {
	return load(expr.PayloadBaseLLHeader, offset, length, reg)
}

func network(offset, length, reg uint32) rule {
	return load(expr.PayloadBaseNetworkHeader, offset, length, reg)
}

func transport(offset, length, reg uint32) rule {
	return load(expr.PayloadBaseTransportHeader, offset, length, reg)
}

func meta(key expr.MetaKey, reg uint32) rule { return rule{&expr.Meta{Key: key, Register: reg}} }

// Fields, loaded into a register.
func etherSrc(reg uint32) rule     { return link(6, 6, reg) }
func ip4Src(reg uint32) rule       { return network(12, 4, reg) }
func ip4Dst(reg uint32) rule       { return network(16, 4, reg) }
func ip6Src(reg uint32) rule       { return network(8, 16, reg) }
func arpSenderMAC(reg uint32) rule { return network(8, 6, reg) }
func arpSenderIP(reg uint32) rule  { return network(14, 4, reg) }
func ndTarget(reg uint32) rule     { return transport(8, 16, reg) }
func inPort(reg uint32) rule       { return meta(expr.MetaKeyIIFNAME, reg) }

// Matches.
func from(dev string) rule { return when(inPort(reg0), is(reg0, ifName(dev)...)) }
func to(dev string) rule   { return when(meta(expr.MetaKeyOIFNAME, reg0), is(reg0, ifName(dev)...)) }

func etherType(t uint16) rule    { return when(link(12, 2, reg0), is(reg0, be16(t)...)) }
func ipv4() rule                 { return when(meta(expr.MetaKeyNFPROTO, reg0), is(reg0, unix.NFPROTO_IPV4)) }
func l4proto(p byte) rule        { return when(meta(expr.MetaKeyL4PROTO, reg0), is(reg0, p)) }
func sourcePort(p uint16) rule   { return when(transport(0, 2, reg0), is(reg0, be16(p)...)) }
func icmpType(t byte) rule       { return when(transport(0, 1, reg0), is(reg0, t)) }
func destPort(p uint16) rule     { return when(transport(2, 2, reg0), is(reg0, be16(p)...)) }
func fromHost(a netip.Addr) rule { return when(ip4Src(reg0), is(reg0, a.AsSlice()...)) }
func toHost(a netip.Addr) rule   { return when(ip4Dst(reg0), is(reg0, a.AsSlice()...)) }
func toOther(a netip.Addr) rule  { return when(ip4Dst(reg0), isNot(reg0, a.AsSlice()...)) }
func toOtherDev(dev string) rule {
	return when(meta(expr.MetaKeyOIFNAME, reg0), isNot(reg0, ifName(dev)...))
}

func toPrefix(p netip.Prefix) rule   { return when(ip4Dst(reg0), inPrefix(p)) }
func fromPrefix(p netip.Prefix) rule { return when(ip4Src(reg0), inPrefix(p)) }

func inPrefix(p netip.Prefix) rule {
	mask := make([]byte, 4)
	binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-p.Bits()))
	return when(masked(reg0, mask), is(reg0, p.Masked().Addr().AsSlice()...))
}

// linkLocalGroup matches 01:80:c2:00:00:*, to which STP, LLDP, pause and their
// like are sent; bridges must not forward them (peers.md T17).
func linkLocalGroup() rule {
	return when(link(0, 5, reg0), is(reg0, 0x01, 0x80, 0xc2, 0x00, 0x00))
}

// arpShape matches ARP for IPv4 over Ethernet, whose fields lie where the
// other ARP words look.
func arpShape() rule {
	return when(etherType(unix.ETH_P_ARP), network(0, 6, reg0), is(reg0, 0, 1, 8, 0, 6, 4))
}

// tracked matches packets of a connection that was let through, and errors
// about one.
func tracked() rule {
	states := uint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	return when(
		rule{&expr.Ct{Key: expr.CtKeySTATE, Register: reg0}},
		masked(reg0, binaryutil.NativeEndian.PutUint32(states)),
		isNot(reg0, 0, 0, 0, 0),
	)
}

// redirected matches packets of a connection whose destination was translated.
func redirected() rule {
	const dstNAT = 1 << 5 // IPS_DST_NAT
	return when(
		rule{&expr.Ct{Key: expr.CtKeySTATUS, Register: reg0}},
		masked(reg0, binaryutil.NativeEndian.PutUint32(dstNAT)),
		isNot(reg0, 0, 0, 0, 0),
	)
}

// redirect translates the destination to the address in reg.
func redirect(reg uint32) rule {
	return rule{&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg}}
}

// comeFrom translates the source to the address, and to a port of the range
// whose ends are in low and the register after it; low 0 is any port.
func comeFrom(a netip.Addr, low uint32) rule {
	nat := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg0}
	if low != 0 {
		nat.RegProtoMin, nat.RegProtoMax = low, low+1
	}
	return rule{&expr.Immediate{Register: reg0, Data: a.AsSlice()}, nat}
}

// overLimit matches if the source address has more than n tracked connections;
// it keeps them in the set.
func overLimit(s *nftables.Set, n uint32) rule {
	return when(ip4Src(reg0), rule{&expr.Dynset{
		SrcRegKey: reg0, SetName: s.Name, Operation: uint32(unix.NFT_DYNSET_OP_ADD),
		Exprs: []expr.Any{&expr.Connlimit{Count: n, Flags: expr.NFT_CONNLIMIT_F_INV}},
	}})
}

func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// ifName is the name as a set's key: sixteen bytes, NUL-padded.
func ifName(dev string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, dev)
	return b
}

// key joins fields to the key of a concatenated set.
func key(fields ...[]byte) []byte {
	var k []byte
	for _, f := range fields {
		k = append(k, f...)
		for len(k)%regsz != 0 {
			k = append(k, 0)
		}
	}
	return k
}
