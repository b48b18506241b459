package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// names is a Resolver that fails some times first.
type names struct {
	fails int
	asked int
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.asked++
	if n.asked <= n.fails {
		return nil, errors.New("server misbehaving")
	}
	if !strings.HasPrefix(host, "boss") {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")}, nil
}

func (n *names) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return []string{"boss-of-" + addr + "."}, nil
}

func TestFind(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	file := func(dir, name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file(dir, "bossnode", "boss.file:99\nignored\n")
	resolv := file(empty, "resolv.conf", "# x\nsearch a\nnameserver 10.9.9.9\nnameserver 10.8.8.8\n")
	file(filepath.Join(empty), "bossnode", "\n")

	for name, row := range map[string]struct {
		f    Finder
		want string
	}{
		"given":                  {Finder{Server: "boss.cli", Env: "boss.env", Dirs: []string{dir}}, "boss.cli [10.0.0.1] []"},
		"given, with port":       {Finder{Server: "boss.cli:7"}, "boss.cli [10.0.0.1] [7]"},
		"-p wins":                {Finder{Server: "boss.cli:7", Port: 8}, "boss.cli [10.0.0.1] [8]"},
		"an address":             {Finder{Server: "192.0.2.1", Port: 8}, "192.0.2.1 [192.0.2.1] [8]"},
		"an IPv6 address":        {Finder{Server: "2001:db8::1"}, "2001:db8::1 [2001:db8::1] []"},
		"an IPv6 address, port":  {Finder{Server: "[2001:db8::1]:7"}, "2001:db8::1 [2001:db8::1] [7]"},
		"environment":            {Finder{Env: "boss.env:77", Dirs: []string{dir}}, "boss.env [10.0.0.1] [77]"},
		"file":                   {Finder{Dirs: []string{"/nonexistent", empty, dir}}, "boss.file [10.0.0.1] [99]"},
		"file, -p wins":          {Finder{Dirs: []string{dir}, Port: 5}, "boss.file [10.0.0.1] [5]"},
		"first resolver":         {Finder{ResolvConf: resolv, Dirs: []string{empty}}, "boss-of-10.9.9.9 [10.0.0.1] []"},
		"first resolver, -p set": {Finder{ResolvConf: resolv, Port: 5}, "boss-of-10.9.9.9 [10.0.0.1] [5]"},
	} {
		t.Run(name, func(t *testing.T) {
			row.f.Resolver = &names{}
			s, err := row.f.Find(t.Context())
			if got := fmt.Sprint(s.Name, " ", s.Addrs, " ", s.Ports); err != nil || got != row.want {
				t.Errorf("Find = %s, %v; want %s", got, err, row.want)
			}
		})
	}
}

func TestFindErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bossnode"), []byte("boss:http\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(none, []byte("search x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		f    Finder
		want string
	}{
		"port zero":        {Finder{Server: "boss:0"}, `server "boss:0": want host or host:port, port 1 to 65535`},
		"port too high":    {Finder{Env: "boss:65536"}, "port 1 to 65535"},
		"no host":          {Finder{Server: ":7777"}, `server ":7777"`},
		"bad bossnode":     {Finder{Dirs: []string{dir}}, "bossnode: server"},
		"no name server":   {Finder{ResolvConf: none, Dirs: []string{"/x", "/y"}}, "no bossnode in /x /y: " + none + " names no name server"},
		"no resolv.conf":   {Finder{ResolvConf: "/nonexistent/resolv.conf"}, "no such file"},
		"unknown name":     {Finder{Server: "ghost", Tries: 1}, "look up ghost, 1 times: no such host"},
		"bossnode is odd":  {Finder{Dirs: []string{"/dev/null"}}, "not a directory"},
		"too many colons":  {Finder{Server: "a:b:c"}, "want host or host:port"},
		"unclosed bracket": {Finder{Server: "[::1"}, "want host or host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			row.f.Resolver = &names{}
			if _, err := row.f.Find(t.Context()); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Find: %v; want %q", err, row.want)
			}
		})
	}
}

// Five tries, five seconds apart.
func TestLookupTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := &names{fails: 4}
		if _, err := (Finder{Server: "boss", Resolver: r}).Find(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); r.asked != 5 || took != 20*time.Second {
			t.Errorf("asked %d times in %v", r.asked, took)
		}
		r = &names{fails: 99}
		if _, err := (Finder{Server: "boss", Resolver: r}).Find(t.Context()); err == nil || r.asked != 5 {
			t.Errorf("asked %d times, %v", r.asked, err)
		}
	})
}

func TestLookupCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		r := &names{fails: 99}
		_, err := Finder{Server: "boss", Resolver: r}.Find(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || r.asked != 2 {
			t.Errorf("asked %d times, %v", r.asked, err)
		}
	})
}
