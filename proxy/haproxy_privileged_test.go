//go:build linux && privileged

package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"emujail/tmcc/client"
	"emujail/tmcc/client/tlsdial"
)

// balance runs a real HAProxy before two replicas; it makes the PROXY header.
func balance(t *testing.T, replicas ...*mock) client.Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(ln.Addr().String())
	ln.Close()
	var cfg strings.Builder
	fmt.Fprintf(&cfg, `
defaults
  mode tcp
  timeout connect 1s
  timeout client 20s
  timeout server 20s
  retries 2
  option redispatch
listen tmcd
  bind %v
`, addr)
	for i, r := range replicas {
		fmt.Fprintf(&cfg, "  server tmcd%d %v send-proxy-v2 check inter 200ms fall 1\n", i, r.addr)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(cfg.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/haproxy", "-db", "-f", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	eventually(t, "HAProxy listens", func() bool {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return client.Server{Name: "boss", Addrs: []netip.Addr{addr.Addr()}, Ports: []int{int(addr.Port())}}
}

// Decision 6 of docs/design.md: behind a balancer that makes the header, hosts
// are known by their own address; a replica killed under load costs only what
// was under way at it.
func TestBehindHAProxyWithAReplicaKilled(t *testing.T) {
	program, testbed := buildMock(t), siblingsApart(t)
	for _, row := range []struct {
		name string
		tls  bool
	}{{"tcp", false}, {"tls passed through", true}} {
		t.Run(row.name, func(t *testing.T) {
			args := []string{"--proxy-protocol-from", "127.0.0.1"}
			o := Options{Deadlines: Deadlines{Progress: 5 * time.Second}}
			if row.tls {
				certs := filepath.Join(t.TempDir(), "certs")
				if out, err := exec.Command(program, "pki", certs, "--server-ip", "127.0.0.1").CombinedOutput(); err != nil {
					t.Fatalf("pki: %v\n%s", err, out)
				}
				args = append(args, "--pki", certs)
				cfg, err := tlsdial.LoadFiles(certs)
				if err != nil {
					t.Fatal(err)
				}
				o.Tmcd.Handshake = tlsdial.New(cfg).Handshake
			}
			one, two := startMock(t, program, testbed, args...), startMock(t, program, testbed, args...)
			o.Tmcd.Servers = []client.Server{balance(t, one, two)}
			path := serveAlone(t, o)
			want, err := ask(t, path, "VERSION=40 keyhash ")
			if err != nil || !strings.Contains(want, "5f4dcc3b5aa765d61d8327deb882cf99") {
				t.Fatalf("before: %q, %v", want, err)
			}
			var good, failed atomic.Int64
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						switch reply, err := ask(t, path, "VERSION=40 keyhash "); {
						case err == nil && reply == want:
							good.Add(1)
						case isReset(err):
							failed.Add(1)
						default: // plain TCP: a killed tmcd's end can look clean, with nothing
							if row.tls || reply != "" || err != nil {
								t.Errorf("%q, %v", reply, err)
							}
							failed.Add(1)
						}
					}
				})
			}
			eventually(t, "load", func() bool { return good.Load() > 50 })
			one.cmd.Process.Kill()
			at := good.Load()
			eventually(t, "load goes on", func() bool { return good.Load() > at+200 })
			close(stop)
			all.Wait()
			t.Logf("%d good, %d failed", good.Load(), failed.Load())
			if failed.Load() > 50 {
				t.Errorf("%d failed, with 8 clients and one replica killed", failed.Load())
			}
		})
	}
}
