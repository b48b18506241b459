package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/server"
	"emujail/tmcd-mock/store"
	"emujail/tmcd-mock/testbed"
)

type serveOptions struct {
	testbed, pki, manage, web, webRoot, store string
	listen, site, faults, balancers           []string
	webTLS, proxied, quiet, watch             bool
	seed                                      uint64
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a testbed until interrupted",
		Long: `Serve a testbed: TCP, UDP and TLS on one port, until interrupted. Hosts are known by their source address.
What is refused gets silence, as from the original, and a line on stderr that says why.

The testbed is read again when its file changes, on SIGHUP and by "tmcd-mock reload"; a mistake in it changes
nothing. Without --testbed a built-in one with two jails on 127.0.0.1 is served.`,
		Example: `  tmcd-mock serve
  tmcd-mock serve --testbed demo.yaml --pki certs --web 127.0.0.1:8080 --web-root files
  tmcd-mock serve --listen 192.0.2.1:7777 --listen 192.0.2.1:14447 --store reports.db`,
		Args: args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.testbed, "testbed", "", "testbed `FILE`: YAML, or rows as JSON")
	f.StringArrayVar(&o.listen, "listen", []string{"127.0.0.1:7777"}, "`ADDR:PORT` to serve; several are possible")
	f.StringVar(&o.pki, "pki", "", "`DIR` of certificates: serve TLS too")
	f.StringArrayVar(&o.site, "site", nil, "put `KEY=VALUE` in the place of a site setting of the testbed")
	manageFlag(cmd, &o.manage)
	f.StringVar(&o.web, "web", "", "`ADDR:PORT` of a web server for tarballs and packages")
	f.StringVar(&o.webRoot, "web-root", "", "`DIR` below which its files lie")
	f.BoolVar(&o.webTLS, "web-tls", false, "the web server speaks HTTPS, with the certificate of --pki")
	f.StringVar(&o.store, "store", "", "keep reports in `FILE`, so that they survive the server")
	f.StringArrayVar(&o.faults, "fault", nil, "make trouble: `RULE` as for \"tmcd-mock fault add\"")
	f.Uint64Var(&o.seed, "seed", 0, "`SEED` of all chance in faults; 0: a random one, which is printed")
	f.BoolVar(&o.proxied, "proxy-protocol", false, "a host may send a PROXY v2 header with its own address")
	f.StringArrayVar(&o.balancers, "proxy-protocol-from", nil, "believe PROXY v2 headers from the balancer at `ADDR[/BITS]`")
	f.BoolVar(&o.watch, "watch", true, "read the testbed again when its file changes")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "log warnings only, not each request")
	return cmd
}

// serve puts the parts together, runs them, and takes them apart again, in the reverse order.
func serve(ctx context.Context, o serveOptions, stdout, stderr io.Writer) (err error) {
	m, options, err := prepare(o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.reports.Close()) }()

	control, err := openManage(o.manage)
	if err != nil {
		return err
	}
	// Whoever serves a socket closes it; before that, we do. A second close does no harm.
	defer control.Close()

	site, err := m.listenWeb(o) // before the testbed is read: a port 0 becomes a number there
	if err != nil {
		return err
	}
	l, err := m.load()
	if err != nil {
		return errors.Join(err, site.close())
	}
	m.use(l)
	defer func() { err = errors.Join(err, site.close()) }()
	site.serve(m, o)
	srv, err := server.Start(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()

	registry := prometheus.NewRegistry()
	registry.MustRegister(options.Metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	api := manage.Serve(control, manage.Options{
		Status: func() manage.Status { return m.status(o, srv) },
		Nodes:  m.nodes, Plans: m.schedules, Set: m.set, Account: m.account, Reload: m.reload,
		Faults: m.faults, Journal: m.journal, Metrics: registry, Logger: m.log,
	})
	defer func() { err = errors.Join(err, api.Close()) }()

	m.greet(stdout, o, srv)
	m.run(ctx, o.watch)
	return nil
}

// prepare checks the options and makes what holds no socket.
func prepare(o serveOptions, stderr io.Writer) (*mock, server.Options, error) {
	level := slog.LevelInfo
	if o.quiet {
		level = slog.LevelWarn
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32 // short enough to type
	}
	m := &mock{
		file: o.testbed, site: o.site, web: o.web, pki: o.pki, began: time.Now(),
		log:      slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		reports:  store.New(),
		journal:  store.NewJournal(),
		faults:   fault.NewSet(o.seed),
		timeline: make(chan []fault.Deed, 1),
	}
	options := server.Options{
		Admit: m.admit, Answer: m.answer, Host: m.host,
		TLS:     func() *tls.Config { return m.tls.Load() },
		Proxied: o.proxied, Faults: m.faults, Journal: m.journal, Metrics: server.NewMetrics(), Logger: m.log,
	}
	for _, text := range o.listen {
		addr, err := server.CheckListen(text)
		if err != nil {
			return nil, options, usageError{err}
		}
		options.Listen = append(options.Listen, addr)
	}
	for _, text := range o.balancers {
		prefix, err := parsePrefix(text)
		if err != nil {
			return nil, options, usagef("--proxy-protocol-from %s: want an address, or ADDR/BITS", text)
		}
		options.Balancers = append(options.Balancers, prefix)
	}
	for _, spec := range o.faults {
		rule, err := fault.Parse(spec)
		if err != nil {
			return nil, options, usageError{err}
		}
		m.faults.Add(rule)
	}
	if i := slices.IndexFunc(o.site, func(s string) bool { return !strings.Contains(s, "=") }); i >= 0 {
		return nil, options, usagef("--site %s: want KEY=VALUE", o.site[i])
	}
	if (o.web == "") != (o.webRoot == "") {
		return nil, options, usagef("--web and --web-root go together")
	}
	if o.webTLS && (o.pki == "" || o.web == "") {
		return nil, options, usagef("--web-tls needs --web and --pki")
	}
	if _, err := m.load(); err != nil {
		return nil, options, err // before a socket or a file is touched
	}
	if o.store != "" {
		reports, err := store.Open(o.store)
		if err != nil {
			return nil, options, err
		}
		m.reports = reports
	}
	return m, options, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(text)
}

// openManage opens the management socket, or a TCP port on loopback.
func openManage(at string) (net.Listener, error) {
	if !manage.IsTCP(at) {
		return manage.Listen(at)
	}
	addr, err := server.CheckListen(at)
	if err != nil {
		return nil, usageError{err}
	}
	if !addr.Addr().IsLoopback() {
		return nil, usagef("--manage %s: whoever reaches it may change everything: only 127.0.0.1 or a socket", at)
	}
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
}

// status is what the management API tells of this process.
func (m *mock) status(o serveOptions, srv *server.Server) manage.Status {
	s := manage.Status{Web: m.web, Testbed: m.name(), PKI: m.pki, Store: o.store, Seed: m.faults.Seed(), PID: os.Getpid(), Since: m.began}
	for _, a := range srv.Addrs() {
		s.Listen = append(s.Listen, a.String())
	}
	return s
}

func (m *mock) name() string {
	if m.file == "" {
		return "(built in)"
	}
	return m.file
}

// greet says once, on stdout, what is served where.
func (m *mock) greet(w io.Writer, o serveOptions, srv *server.Server) {
	nodes := 0
	m.tb.Read(func(db *testbed.DB) { nodes = db.Len("nodes") })
	ways := "tcp and udp"
	if m.pki != "" {
		ways = "tcp, udp and tls"
	}
	for _, a := range srv.Addrs() {
		fmt.Fprintf(w, "tmcd-mock: serving %s on %v (%s), %d nodes\n", m.name(), a, ways, nodes)
	}
	if m.web != "" {
		fmt.Fprintf(w, "tmcd-mock: files of %s on %s\n", o.webRoot, m.web)
	}
	fmt.Fprintf(w, "tmcd-mock: manage by %s, seed %d\n", o.manage, m.faults.Seed())
}

// run reloads on SIGHUP and when a file changes, and keeps the timeline, until ctx ends.
func (m *mock) run(ctx context.Context, watch bool) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	done := make(chan struct{})
	go func() { defer close(done); m.keepTime(ctx) }()
	defer func() { <-done }()

	var changed <-chan time.Time
	if watch {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		changed = ticker.C
	}
	w := newWatch(m.files()...)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			w.changed() // what was changed before the signal is read now, not once more
		case <-changed:
			if !w.changed() {
				continue
			}
		}
		_ = m.reload() // it has told the log; the old testbed stays
	}
}

// keepTime runs the newest timeline. Its times count from the start of the server; after a reload those
// that are past don't happen again.
func (m *mock) keepTime(ctx context.Context) {
	var deeds []fault.Deed
	first := true
	for {
		part, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func(deeds []fault.Deed) { // its own: the next ones may come meanwhile
			defer close(ended)
			fault.Run(part, m.began, deeds, m.deed)
		}(deeds)
		select {
		case <-ctx.Done():
			cancel()
			<-ended
			return
		case deeds = <-m.timeline:
		}
		cancel()
		<-ended
		past := time.Since(m.began)
		if !first {
			deeds = slices.DeleteFunc(deeds, func(d fault.Deed) bool { return d.At <= past })
		}
		first = false
	}
}
