package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"emujail/tmcd-mock/store"
)

// A PROXY v2 header: 12 bytes of signature, version and command, family, length (2 bytes), then so many.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed     = 16
	proxyMax       = 1024 // bytes behind the fixed part that we read; real ones have some dozens
	proxyClaimMax  = 128  // bytes of the unique id, as PROXY's own specification has it
)

// proxied reads a PROXY header if head begins with one, and learns from it who really asks. It returns
// the head of the request proper.
//
// A configured balancer must send a header and may name any address. A host may send one, where
// Options.Proxied allows it, with its own address only. Everybody else's is refused. The vnode id in TLV
// 0x05 goes into the journal and is believed by nobody.
func (x *exchange) proxied(head []byte) ([]byte, error) {
	balancer := x.isBalancer()
	if !bytes.HasPrefix(head, []byte(proxySignature)) {
		if balancer {
			return nil, errors.New("a configured balancer sent no PROXY v2 header: check its `send-proxy-v2`")
		}
		return head, nil
	}
	if !balancer && !x.s.o.Proxied {
		return nil, errors.New("PROXY header from an address that isn't configured (--proxy-protocol-from, --proxy-protocol)")
	}
	header, rest, err := readProxyHeader(x.conn, head)
	if err != nil {
		return nil, fmt.Errorf("PROXY header: %w", err)
	}
	if err := x.believe(header, balancer); err != nil {
		return nil, fmt.Errorf("PROXY header: %w", err)
	}
	return readHead(x.conn, rest)
}

func (x *exchange) isBalancer() bool {
	for _, p := range x.s.o.Balancers {
		if p.Contains(x.peer.Addr()) {
			return true
		}
	}
	return false
}

// readProxyHeader reads exactly the header, and returns what of head lies behind it (a byte at most).
func readProxyHeader(r io.Reader, head []byte) (*proxyproto.Header, []byte, error) {
	if len(head) < proxyFixed {
		more := make([]byte, proxyFixed-len(head))
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, nil, err
		}
		head = append(head, more...)
	}
	length := int(binary.BigEndian.Uint16(head[proxyFixed-2:]))
	if length > proxyMax {
		return nil, nil, fmt.Errorf("%d bytes long, at most %d are read", length, proxyMax)
	}
	var rest []byte
	if end := proxyFixed + length; len(head) > end {
		head, rest = head[:end], head[end:]
	} else {
		more := make([]byte, end-len(head))
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, nil, err
		}
		head = append(head, more...)
	}
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(head)))
	return header, rest, err
}

// believe takes the address from the header, or says why not.
func (x *exchange) believe(h *proxyproto.Header, balancer bool) error {
	x.entry.Claim = claim(h)
	if h.Command.IsLocal() {
		return nil // the balancer speaks for itself: a health check
	}
	from, _, ok := h.IPs()
	addr, valid := netip.AddrFromSlice(from)
	if !ok || !valid {
		return errors.New("no address in it")
	}
	addr = addr.Unmap()
	if !balancer && addr != x.peer.Addr() {
		return fmt.Errorf("%v claims to be %v", x.peer.Addr(), addr)
	}
	if balancer {
		x.entry.Balancer = x.peer.Addr().String()
	}
	x.source = addr
	return nil
}

// claim is the unique id of the header, for people.
func claim(h *proxyproto.Header) string {
	tlvs, err := h.TLVs()
	if err != nil {
		return ""
	}
	for _, t := range tlvs {
		if t.Type == proxyproto.PP2_TYPE_UNIQUE_ID {
			return store.Text(t.Value[:min(len(t.Value), proxyClaimMax)]).Escaped(false)
		}
	}
	return ""
}
