package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emujail/protocol"
	"emujail/protocol/conformance"
)

type checkOptions struct {
	node, vnode, sibling, foreign, privkey, pki, junit string
	source, remote, free, stranger                     string
	also, only                                         []string
	write, strict, dryRun, json, complete              bool
	timeout                                            time.Duration
}

func newCheckCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check ADDR[:PORT]",
		Short: "Hold a running tmcd against the protocol, rule by rule",
		Long: `Hold any running tmcd, the original included, against the protocol: a row for each rule of the specification.
The port is 7777 unless given. Nothing is changed unless --write.

A row is ok, fails, or is not run ("-"), with the reason: more must be told about who asks, or the testbed has nothing
to judge it by. The host that asks is known by its address; its id and its vnodes are asked for unless given.

Exit codes: 0 no row failed, 1 one did, or no row could be run, 2 usage.`,
		Example: `  tmcd-mock check 127.0.0.1
  tmcd-mock check 127.0.0.1:7777 --source 127.0.0.1 --foreign pcvm3-1 --stranger 127.0.0.99 --pki certs
  tmcd-mock check boss.example.net --only 2/ --strict --json
  tmcd-mock check --dry-run`,
		Args: func(cmd *cobra.Command, list []string) error {
			if o.dryRun && len(list) == 0 {
				return nil
			}
			if err := args(1, 1, "the address of a tmcd")(cmd, list); err != nil {
				return err
			}
			if info, err := os.Stat(list[0]); err == nil && info.Mode().IsRegular() {
				return usageError{fmt.Errorf("check: want the address of a tmcd that runs, not the file %s (serve says what is wrong with a testbed file)", list[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, list []string) error {
			if o.dryRun {
				return dryRun(cmd.OutOrStdout(), o)
			}
			t, err := o.target(cmd.Context(), list[0])
			if err != nil {
				return err
			}
			return check(cmd.Context(), cmd.OutOrStdout(), t, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.source, "source", "", "`ADDR` to ask from: that of a host (default: as the system chooses)")
	f.StringVar(&o.node, "node", "", "`ID` of that host")
	f.StringVar(&o.vnode, "vnode", "", "`ID` of a vnode on it")
	f.StringVar(&o.sibling, "sibling", "", "`ID` of another vnode on it")
	f.StringVar(&o.foreign, "foreign", "", "`ID` of a vnode on another host")
	f.StringVar(&o.remote, "remote", "", "`ADDR` of a remote host that is in an experiment")
	f.StringVar(&o.free, "free", "", "`ADDR` of a host that is in none; the original can't answer it")
	f.StringVar(&o.stranger, "stranger", "", "`ADDR` of no node")
	f.StringArrayVar(&o.also, "also", nil, "`ADDR` of a further host, asked where the first has nothing to say")
	f.StringVar(&o.privkey, "privkey", "", "`KEY` of a remote host")
	f.StringVar(&o.pki, "pki", "", "`DIR` with client.pem and emulab.pem, for rows over TLS")
	f.BoolVar(&o.write, "write", false, "run rows that change what the server holds, too")
	f.BoolVar(&o.strict, "strict", false, "run rows for what the original merely tolerates or fails at, too")
	f.BoolVar(&o.complete, "complete", false, "a row that can't be run counts as failed")
	f.StringArrayVar(&o.only, "only", nil, "run the row `ID`, or those of a section: 2/")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "list the rows and what they need, and run none")
	f.BoolVar(&o.json, "json", false, "print the results as JSON")
	f.StringVar(&o.junit, "junit", "", "write the results to `FILE` as JUnit XML")
	f.DurationVar(&o.timeout, "timeout", conformance.DefaultTimeout, "most `TIME` for a row")
	return cmd
}

func (o checkOptions) options() conformance.Options {
	return conformance.Options{Write: o.write, Strict: o.strict, Only: o.only, Timeout: o.timeout}
}

// target is who is asked and who asks.
func (o checkOptions) target(ctx context.Context, where string) (t conformance.Target, err error) {
	if o.timeout < 0 {
		return t, usagef("--timeout %v: want more than nothing", o.timeout)
	}
	t = conformance.Target{Node: o.node, VNode: o.vnode, Sibling: o.sibling, Foreign: o.foreign, PrivKey: o.privkey}
	if t.Addr, err = resolve(ctx, where); err != nil {
		return t, err
	}
	for option, p := range map[string]struct {
		text string
		addr *netip.Addr
	}{"source": {o.source, &t.Source}, "remote": {o.remote, &t.Remote}, "free": {o.free, &t.Free}, "stranger": {o.stranger, &t.Stranger}} {
		if p.text == "" {
			continue
		}
		if *p.addr, err = netip.ParseAddr(p.text); err != nil {
			return t, usagef("--%s: %w", option, err)
		}
	}
	for _, text := range o.also {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return t, usagef("--also: %w", err)
		}
		t.Also = append(t.Also, a)
	}
	if o.pki != "" {
		t.TLS, err = credentials(o.pki)
	}
	return t, err
}

// resolve reads ADDR[:PORT]; ADDR may be a name.
func resolve(ctx context.Context, where string) (netip.AddrPort, error) {
	name, port := where, uint64(protocol.DefaultPort)
	if h, p, err := net.SplitHostPort(where); err == nil {
		name = h
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return netip.AddrPort{}, usagef("%q: want ADDR or ADDR:PORT", where)
		}
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return netip.AddrPortFrom(a, uint16(port)), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find tmcd: %w", err)
	}
	return netip.AddrPortFrom(found[0].Unmap(), uint16(port)), nil
}

// credentials reads a client's files, as tmcc has them.
func credentials(dir string) (*conformance.Credentials, error) {
	own := filepath.Join(dir, "client.pem")
	pair, err := tls.LoadX509KeyPair(own, own)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	file := filepath.Join(dir, "emulab.pem")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	ca := x509.NewCertPool()
	if !ca.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read CA: %s holds no certificate", file)
	}
	return &conformance.Credentials{Certificate: pair, CA: ca}, nil
}

// check runs the suite. Text comes row by row, JSON and JUnit at the end.
func check(ctx context.Context, w io.Writer, t conformance.Target, o checkOptions) error {
	var results []conformance.Result
	sum := conformance.Run(ctx, t, o.options(), func(r conformance.Result) {
		results = append(results, r)
		if !o.json {
			fmt.Fprintln(w, r)
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(results) == 0 {
		return usagef("--only %s: no such row; --dry-run lists them", strings.Join(o.only, " "))
	}
	var err error
	if o.json {
		err = conformance.WriteJSON(w, t.Addr.String(), results)
	} else {
		fmt.Fprintln(w, sum)
	}
	if o.junit != "" {
		err = errors.Join(err, writeJUnit(o.junit, t.Addr.String(), results))
	}
	if err != nil {
		return err
	}
	if sum.Failed > 0 || sum.Passed == 0 || o.complete && sum.NotRun > 0 {
		return errTold
	}
	return nil
}

func writeJUnit(file, target string, results []conformance.Result) error {
	var b bytes.Buffer
	if err := conformance.WriteJUnit(&b, target, results); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o666)
}

// dryRun lists the rows that would run, and what they need.
func dryRun(w io.Writer, o checkOptions) error {
	rows := 0
	for _, r := range conformance.Rows() {
		if !o.options().Picks(r) {
			continue
		}
		rows++
		line := fmt.Sprintf("%-5s  %s", r.ID, r.Rule)
		if terms := r.Terms(); terms != "" {
			line += " [" + terms + "]"
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "check: %d rows\n", rows)
	return nil
}
