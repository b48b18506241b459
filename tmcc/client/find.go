package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Tries and pause of a name look-up (spec §0).
const (
	LookupTries = 5
	LookupWait  = 5 * time.Second
)

// ConfigDirs are the directories in which Emulab's files lie: bossnode,
// client.pem, emulab.pem. The first that has a file counts.
func ConfigDirs() []string {
	return []string{
		"/etc/testbed", "/etc/emulab", "/etc/rc.d/testbed",
		"/usr/local/etc/testbed", "/usr/local/etc/emulab",
	}
}

// A Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// A Finder looks for boss as the original client did: the name given, else the
// one in the environment, else in a file bossnode, else the name of the first
// resolver. Its zero value, with Dirs from ConfigDirs, does that on this
// machine.
type Finder struct {
	Server string   // host[:port], from the command line
	Port   int      // wins over a port found beside the name
	Env    string   // value of BOSSNAME, host[:port]
	Dirs   []string // where bossnode is looked for

	ResolvConf string        // "" = /etc/resolv.conf
	Resolver   Resolver      // nil = net.DefaultResolver
	Tries      int           // 0 = LookupTries
	Wait       time.Duration // 0 = LookupWait
	Logger     *slog.Logger  // hears of each failed look-up; may be nil
}

// Find returns boss with its addresses, and with its port if one was given.
func (f Finder) Find(ctx context.Context) (Server, error) {
	name, port, err := f.name(ctx)
	if err != nil {
		return Server{}, fmt.Errorf("find boss: %w", err)
	}
	if f.Port != 0 {
		port = f.Port
	}
	s, err := f.Lookup(ctx, name)
	if err != nil {
		return Server{}, fmt.Errorf("find boss: %w", err)
	}
	if port != 0 {
		s.Ports = []int{port}
	}
	return s, nil
}

// Lookup returns the server of that name, or address, trying several times.
func (f Finder) Lookup(ctx context.Context, name string) (Server, error) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return Server{Name: name, Addrs: []netip.Addr{addr}}, nil
	}
	var addrs []netip.Addr
	err := f.retry(ctx, "look up "+name, func() (err error) {
		addrs, err = f.resolver().LookupNetIP(ctx, "ip", name)
		return err
	})
	if err != nil {
		return Server{}, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return Server{Name: name, Addrs: addrs}, nil
}

func (f Finder) resolver() Resolver {
	if f.Resolver == nil {
		return net.DefaultResolver
	}
	return f.Resolver
}

// retry does deed until it succeeds, up to the number of tries.
func (f Finder) retry(ctx context.Context, what string, deed func() error) error {
	tries, wait := f.Tries, f.Wait
	if tries == 0 {
		tries = LookupTries
	}
	if wait == 0 {
		wait = LookupWait
	}
	for n := 1; ; n++ {
		err := deed()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case n == tries:
			return fmt.Errorf("%s, %d times: %w", what, n, bare(err))
		}
		if f.Logger != nil {
			f.Logger.InfoContext(ctx, what+" didn't work, trying again", "after", wait, "try", n, "err", bare(err))
		}
		if !sleep(ctx, wait) {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}

// name finds out what boss is called.
func (f Finder) name(ctx context.Context) (host string, port int, err error) {
	if f.Server != "" {
		return splitHostPort(f.Server)
	}
	if f.Env != "" {
		return splitHostPort(f.Env)
	}
	line, path, err := f.bossnode()
	if err != nil {
		return "", 0, err
	}
	if line != "" {
		if host, port, err = splitHostPort(line); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return host, port, err
	}
	host, err = f.resolverName(ctx)
	if err != nil {
		err = fmt.Errorf("no server named, no BOSSNAME, no bossnode in %s: %w", strings.Join(f.Dirs, " "), err)
	}
	return host, 0, err
}

// bossnode returns the first line of the first file of that name.
func (f Finder) bossnode() (line, path string, err error) {
	for _, dir := range f.Dirs {
		path := filepath.Join(dir, "bossnode")
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", path, err
		}
		first, _, _ := strings.Cut(string(data), "\n")
		if first = strings.TrimSpace(first); first != "" {
			return first, path, nil
		}
	}
	return "", "", nil
}

// resolverName is the name of this machine's first name server: in Emulab
// that's boss.
func (f Finder) resolverName(ctx context.Context) (string, error) {
	path := f.ResolvConf
	if path == "" {
		path = "/etc/resolv.conf"
	}
	addr, err := firstNameserver(path)
	if err != nil {
		return "", err
	}
	var names []string
	err = f.retry(ctx, "look up the name of "+addr, func() (err error) {
		names, err = f.resolver().LookupAddr(ctx, addr)
		if err == nil && len(names) == 0 {
			err = errors.New("it has none")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(names[0], "."), nil
}

func firstNameserver(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(words[1]); err == nil {
			return words[1], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return "", fmt.Errorf("%s names no name server", path)
}

// splitHostPort reads host, host:port, an IPv6 address or [IPv6]:port.
func splitHostPort(s string) (string, int, error) {
	if _, err := netip.ParseAddr(s); err == nil || !strings.Contains(s, ":") {
		return s, 0, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("server %q: want host or host:port", s)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || host == "" {
		return "", 0, fmt.Errorf("server %q: want host or host:port, port 1 to 65535", s)
	}
	return host, int(port), nil
}
