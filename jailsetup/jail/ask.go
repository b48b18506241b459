package jail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"emujail/jailsetup/shape"
	"emujail/jailsetup/topology"
	"emujail/protocol"
	"emujail/tmcc/client"
	"emujail/tmcc/client/tlsdial"
)

// ErrFree says that tmcd has released the vnode: nothing is to be built.
var ErrFree = errors.New("not allocated to an experiment (tmcd says FREE)")

// ErrUnknown says that tmcd answered nothing at all, which it does for a vnode
// that it doesn't know or that belongs to another host, and for a host it
// doesn't know.
var ErrUnknown = errors.New("tmcd says nothing: it knows no such vnode on this host, or not this host")

// Tmcd is how this host asks: as itself, about its vnodes (VNODEID).
type Tmcd struct {
	Boss client.Server // the first, with its addresses

	Servers   []client.Server // all, in the order of the site file
	Redirects []client.Server // where else they may send one
	TLS       tlsdial.Config
	opts      client.Options
}

// dialTimeout bounds each connect, and each handshake.
const dialTimeout = 10 * time.Second

// certificatesHint says what to do about certificates.
const certificatesHint = "(certificates: in the site file names the directory of " + tlsdial.ClientFile + " and " + tlsdial.CAFile + ")"

// lookupTries is how often boss's name is looked up: a person waits.
const lookupTries = 3

// FindTmcd resolves the site's tmcds and reads the host's certificate. Of a list,
// those that have no address are left out with a warning, unless none is left.
func FindTmcd(ctx context.Context, s Site, log *slog.Logger) (Tmcd, error) {
	servers, err := find(ctx, s.Boss, log)
	if len(servers) == 0 {
		return Tmcd{}, fmt.Errorf("find tmcd: %w (set boss in the site file)", err)
	}
	t := Tmcd{Boss: servers[0], Servers: servers, opts: client.Options{
		Network:     client.TCP,
		Servers:     servers,
		Timeout:     s.TmcdTimeout,
		DialTimeout: min(s.TmcdTimeout, dialTimeout),
		RefusedWait: -1,
		Logger:      log,
	}}
	if len(s.Proxy.Redirects) > 0 {
		t.Redirects, _ = find(ctx, s.Proxy.Redirects, log) // who isn't found isn't followed to
	}
	if s.Certificates == "" {
		return t, nil
	}
	t.TLS, err = tlsdial.LoadFiles(s.Certificates)
	if err != nil {
		return t, fmt.Errorf("%w %s", err, certificatesHint)
	}
	t.opts.Network, t.opts.Handshake = client.TLS, tlsdial.New(t.TLS).Handshake
	return t, nil
}

// find looks the names up; no name at all means the default one.
func find(ctx context.Context, names Names, log *slog.Logger) (found []client.Server, err error) {
	if len(names) == 0 {
		names = Names{""}
	}
	for _, name := range names {
		server, oneErr := client.Finder{
			Server: name, Env: os.Getenv("BOSSNAME"), Dirs: client.ConfigDirs(),
			Tries: lookupTries, Wait: time.Second, Logger: log,
		}.Find(ctx)
		if oneErr != nil {
			log.Warn("no address, left out", "server", name, "error", oneErr)
			err = errors.Join(err, oneErr)
			continue
		}
		found = append(found, server)
	}
	return found, err
}

func (t Tmcd) as(vnode string) (*client.Client, error) {
	o := t.opts
	o.Identity = protocol.Request{Version: protocol.Version, VNodeID: vnode}
	return client.New(o)
}

// State reports a state of the vnode.
func (t Tmcd) State(ctx context.Context, vnode, state string) error {
	c, err := t.as(vnode)
	if err != nil {
		return err
	}
	return explain(c.State(ctx, state))
}

// explain adds what the operator can do to an error of a request.
func explain(err error) error {
	var untrusted x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var slow net.Error
	switch {
	case errors.Is(err, client.ErrCut): // over TLS, silence is a connection that ends without a word
		return ErrUnknown
	case errors.Is(err, client.ErrNoProgress), errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("%w (tmcd_timeout: in the site file is how long it may be silent)", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (is tmcd running there? boss: in the site file says where)", err)
	case errors.As(err, &untrusted), errors.As(err, &invalid), errors.As(err, &alert):
		return fmt.Errorf("%w %s", err, certificatesHint)
	}
	return err
}

// BootLog sends text as the vnode's boot log.
func (t Tmcd) BootLog(ctx context.Context, vnode string, text []byte) error {
	c, err := t.as(vnode)
	if err != nil {
		return err
	}
	return c.BootLog(ctx, text)
}

// Wish is what tmcd says that a vnode should be: what is built outside. The
// rest the jail asks for itself, through the proxy; of this answer nothing
// enters it (S28).
type Wish struct {
	Status     protocol.Status
	Jail       protocol.JailConfig
	Interfaces []protocol.Interface
	Aliases    []protocol.Interface // further addresses, if they were asked for
	Routing    protocol.Routing
	Topology   topology.Map // where routes are computed
	Tunnels    protocol.Tunnels
	Mounts     protocol.Mounts
	Shapes     []shape.Wanted // of its interfaces
	EventKey   string         // of the experiment, for the hub; the jail learns it from tmcd
	Hostname   string         // <vname>.<eid>.<pid>.<domain>
	Domain     string

	AliasesAsked bool
}

// Booting reports BOOTING. A tmcd that is away for seconds is waited for.
func (t Tmcd) Booting(ctx context.Context, vnode string) error {
	err := t.insist(ctx, vnode, func() error { return t.State(ctx, vnode, "BOOTING") })
	if err != nil {
		return fmt.Errorf("report BOOTING: %w", err)
	}
	return nil
}

// Wish asks: status, one fullconfig, and for aliases where the vnode may have
// some. A tmcd that is away for seconds is waited for.
func (t Tmcd) Wish(ctx context.Context, vnode string, aliases bool, rest Rest) (w Wish, err error) {
	err = t.insist(ctx, vnode, func() (err error) {
		w, err = t.ask(ctx, vnode, aliases, rest)
		return err
	})
	return w, err
}

// How often tmcd is tried, and the pause before the second time; it doubles.
const (
	insistTries = 4
	insistPause = 500 * time.Millisecond
)

// insist repeats questions, which do no harm twice, while tmcd breaks
// connections off or refuses them: it may be starting. One that is silent has
// been waited for already.
func (t Tmcd) insist(ctx context.Context, vnode string, f func() error) error {
	pause := insistPause
	for try := 1; ; try++ {
		err := f()
		if try == insistTries || !passing(err) || ctx.Err() != nil {
			return err
		}
		if t.opts.Logger != nil {
			t.opts.Logger.Warn("tmcd is asked again", "vnode", vnode, "error", err, "after", pause)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// passing tells an error of a tmcd that may be back in a moment.
func passing(err error) bool {
	for _, e := range [...]syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ask asks for all that is built outside.
func (t Tmcd) ask(ctx context.Context, vnode string, aliases bool, rest Rest) (Wish, error) {
	w, err := t.askConfig(ctx, vnode)
	if err != nil {
		return w, err
	}
	w.AliasesAsked = aliases
	return w, t.askNetwork(ctx, vnode, &w, rest)
}

func (t Tmcd) askConfig(ctx context.Context, vnode string) (Wish, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var w Wish
	c, err := t.as(vnode)
	if err != nil {
		return w, err
	}
	if w.Status, err = askStatus(ctx, c); err != nil {
		return w, err
	}
	blocks, err := c.FullConfig(ctx)
	if err != nil {
		return w, fmt.Errorf("ask for configuration: %w", explain(err))
	}
	if err := w.take(blocks); err != nil {
		return w, err
	}
	w.Domain = domain(t.Boss.Name, w.Jail.EventServer)
	w.Hostname = hostname(w.Status, w.Domain)
	return w, nil
}

// status asks which experiment the vnode is in: [ErrFree] in none, [ErrUnknown]
// without a word.
func (t Tmcd) status(ctx context.Context, vnode string) (protocol.Status, error) {
	c, err := t.as(vnode)
	if err != nil {
		return protocol.Status{}, err
	}
	return askStatus(ctx, c)
}

func askStatus(ctx context.Context, c *client.Client) (protocol.Status, error) {
	s, err := c.Status(ctx)
	switch {
	case err != nil:
		return s, fmt.Errorf("ask for status: %w", explain(err))
	case s.Free:
		return s, ErrFree
	case s.PID == "" || s.EID == "":
		return s, ErrUnknown
	}
	return s, nil
}

// take parses the blocks that phase one needs.
func (w *Wish) take(blocks []protocol.Block) error {
	var links protocol.LinkDelays
	var delays protocol.Delays
	for _, b := range blocks {
		var err error
		switch b.Command {
		case "jailconfig":
			w.Jail, err = protocol.ParseJailConfig(b.Body)
		case "ifconfig":
			var all protocol.IfConfig
			all, err = protocol.ParseIfConfig(b.Body)
			w.Interfaces = all.Interfaces
		case "mounts":
			w.Mounts, err = protocol.ParseMounts(b.Body)
		case "eventkey":
			var key protocol.EventKey
			key, err = protocol.ParseEventKey(b.Body)
			w.EventKey = string(key)
		case "tunnels":
			w.Tunnels, err = protocol.ParseTunnels(b.Body)
		case "routing":
			w.Routing, err = protocol.ParseRouting(b.Body)
		case "linkdelay":
			links, err = protocol.ParseLinkDelays(b.Body)
		case "delay":
			delays, err = protocol.ParseDelays(b.Body)
		}
		if err != nil {
			return fmt.Errorf("tmcd's answer to %s: %w", b.Command, err)
		}
	}
	var err error
	w.Shapes, err = shape.FromTmcd(ownMACs(w.Interfaces), links, delays)
	return err
}

// domain is what follows the first label of boss's name, or of the event
// server's where boss is known by address only.
func domain(boss, eventServer string) string {
	for _, name := range [...]string{boss, eventServer} {
		if _, err := netip.ParseAddr(name); err == nil {
			continue
		}
		if _, rest, ok := strings.Cut(name, "."); ok {
			return rest
		}
	}
	return "emulab.invalid"
}

// maxHostname is Linux's limit for a host name.
const maxHostname = 64

// hostname is the jail's name, or as many of its labels as Linux allows.
func hostname(s protocol.Status, domain string) string {
	full := strings.Join([]string{s.NickName, s.EID, s.PID, domain}, ".")
	if len(full) <= maxHostname {
		return full
	}
	return s.NickName[:min(len(s.NickName), maxHostname)]
}
