package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/pki"
)

type pkiOptions struct {
	names, ips        []string
	client, algorithm string
	validity          time.Duration
}

// flags adds what creating and issuing share.
func (o *pkiOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.algorithm, "key", pki.ECDSA, "kind of keys: `ecdsa` (P-256) or rsa (2048 bits)")
	f.DurationVar(&o.validity, "valid", 365*24*time.Hour, "`TIME` until certificates expire; the CA's is ten times that")
}

// options turns text into values.
func (o *pkiOptions) options() (pki.Options, []netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range o.ips {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return pki.Options{}, nil, usagef("%q is not an address", text)
		}
		addrs = append(addrs, a)
	}
	return pki.Options{ServerNames: o.names, ServerIPs: addrs, ClientName: o.client, Algorithm: o.algorithm, Validity: o.validity}, addrs, nil
}

func newPKICommand() *cobra.Command {
	var o pkiOptions
	cmd := &cobra.Command{
		Use:   "pki DIR",
		Short: "Make certificates for tests: a CA, a server, a client",
		Long: `Make a CA in DIR, which is made with mode 0700, and certificates of one server and one client:

  emulab.pem   certificate of the CA
  server.pem   certificate and key of tmcd
  client.pem   certificate and key of a host
  crl.pem      list of revoked certificates
  ca/          the CA's key

All are marked as for tests; a server refuses certificates that look like a real boss's.`,
		Example: `  tmcd-mock pki certs
  tmcd-mock pki certs --server-name boss.example.com --server-ip 192.0.2.1
  tmcd-mock pki issue certs pc2
  tmcd-mock pki revoke certs clients/pc2.pem
  tmcd-mock pki show certs`,
		Args: args(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, _, err := o.options()
			if err != nil {
				return err
			}
			_, err = pki.Create(args[0], options)
			if errors.Is(err, pki.ErrExists) {
				return fmt.Errorf("%w; `tmcd-mock pki renew %s` makes new certificates", err, args[0])
			}
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&o.names, "server-name", nil, "`NAME` of tmcd; the first is its common name (default localhost, or the first address)")
	cmd.Flags().StringArrayVar(&o.ips, "server-ip", nil, "`ADDR` of tmcd (default 127.0.0.1 and ::1)")
	cmd.Flags().StringVar(&o.client, "client-name", "client", "common `NAME` of client.pem")
	cmd.AddCommand(newPKIIssueCommand(), newPKIRenewCommand(), newPKIRevokeCommand(), newPKIShowCommand())
	return cmd
}

func newPKIIssueCommand() *cobra.Command {
	var o pkiOptions
	cmd := &cobra.Command{
		Use:     "issue DIR NAME",
		Short:   "Make a certificate for a further host: DIR/clients/NAME.pem",
		Example: `  tmcd-mock pki issue certs pc2 --ip 192.0.2.2`,
		Args:    args(2, 2, "DIR and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, addrs, err := o.options()
			if err != nil {
				return err
			}
			options.ServerIPs = nil
			ca, err := pki.Open(args[0])
			if err != nil {
				return err
			}
			path, err := ca.Issue(args[1], addrs, options)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&o.ips, "ip", nil, "`ADDR` of the host")
	return cmd
}

func newPKIRenewCommand() *cobra.Command {
	var ca bool
	cmd := &cobra.Command{
		Use:   "renew DIR [FILE…]",
		Short: "Make new keys and certificates with the old names",
		Long: `Make new keys and certificates with the old names, of FILE (server.pem, client.pem, clients/NAME.pem) or of all.
The old ones stay valid until they expire or are revoked. With --ca the CA's own certificate begins anew; its
key stays, and so does what it signed.`,
		Example: `  tmcd-mock pki renew certs server.pem`,
		Args:    args(1, -1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			authority, err := pki.Open(args[0])
			if err != nil {
				return err
			}
			if ca {
				if err := authority.RenewCA(); err != nil || len(args) == 1 {
					return err
				}
			}
			files, err := authority.Renew(args[1:]...)
			for _, file := range files {
				fmt.Fprintln(cmd.OutOrStdout(), "renewed", file)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&ca, "ca", false, "renew the CA's certificate; others only if they are named")
	return cmd
}

func newPKIRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke DIR CERTIFICATE",
		Short: "Revoke a certificate: a file, a serial number or a common name",
		Long: `Revoke a certificate, named by its file, serial number or common name, and write DIR/crl.pem anew. A running server
reads the list within a second; sessions of the certificate don't resume any more.`,
		Example: `  tmcd-mock pki revoke certs client.pem`,
		Args:    args(2, 2, "DIR and CERTIFICATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ca, err := pki.Open(args[0])
			if err != nil {
				return err
			}
			serials, err := ca.Revoke(args[1], time.Now())
			for _, s := range serials {
				fmt.Fprintln(cmd.OutOrStdout(), "revoked", s)
			}
			return err
		},
	}
}

func newPKIShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show DIR",
		Short:   "List certificates with names, expiry and revocation",
		Example: `  tmcd-mock pki show certs`,
		Args:    args(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := pki.Show(args[0], time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "FILE\tNAME\tHOSTS\tEXPIRES\tREMARK")
			for _, c := range list {
				fmt.Fprintf(table, "%s\t%q\t%s\t%s\t%s\n", c.File, c.Name, strings.Join(c.Hosts, ","), c.NotAfter.Format(time.DateOnly), remark(c))
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func remark(c pki.Certificate) string {
	var words []string
	if c.Revoked {
		words = append(words, "revoked")
	}
	if c.Expired {
		words = append(words, "expired")
	}
	if !c.ForTests {
		words = append(words, "not marked as for tests")
	}
	return strings.Join(words, ", ")
}
