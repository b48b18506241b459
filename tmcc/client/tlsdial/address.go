package tlsdial

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"emujail/tmcc/client"
)

// maxNames bounds the look-ups that one certificate can cause.
const maxNames = 16

// verifyAddress reports whether the certificate belongs to addr. What can be
// decided without asking anyone is decided first.
func (d *Dialer) verifyAddress(ctx context.Context, cert *x509.Certificate, to client.Server, addr netip.Addr) error {
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == addr {
			return nil
		}
	}
	names := namesOf(cert)
	if to.Name != "" && slices.ContainsFunc(names, sameName(to.Name)) && slices.Contains(to.Addrs, addr) {
		return nil
	}
	var troubles []error
	if d.cfg.Lookup != nil {
		for _, name := range names {
			addrs, err := d.cfg.Lookup(ctx, name)
			if slices.Contains(addrs, addr) {
				return nil
			}
			troubles = append(troubles, err)
		}
	}
	err := fmt.Errorf("the server's certificate is for %s, which is not %v", list(cert, names), addr)
	if trouble := errors.Join(troubles...); trouble != nil {
		err = fmt.Errorf("%w (%w)", err, trouble)
	}
	return err
}

// namesOf lists the certificate's names: DNS SANs, then the common name, which
// the original client looked at alone.
func namesOf(cert *x509.Certificate) []string {
	names := cert.DNSNames
	if cn := cert.Subject.CommonName; cn != "" && !slices.ContainsFunc(names, sameName(cn)) {
		names = append(slices.Clip(names), cn)
	}
	if len(names) > maxNames {
		names = names[:maxNames]
	}
	return names
}

func sameName(name string) func(string) bool {
	return func(other string) bool {
		return strings.EqualFold(strings.TrimSuffix(name, "."), strings.TrimSuffix(other, "."))
	}
}

// list shows names and addresses of a certificate, which are another's words.
func list(cert *x509.Certificate, names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, fmt.Sprintf("%q", n))
	}
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "nobody"
	}
	return strings.Join(all, ", ")
}
