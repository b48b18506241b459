package main

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"emujail/tmcd-mock/server"
	"emujail/tmcd-mock/store"
)

// BenchmarkStatus asks `status` as make bench does: 16 clients, a connection for each request. BenchmarkBare
// is what it is held against: a server that accepts, reads, writes 64 bytes and closes.
func BenchmarkStatus(b *testing.B) {
	m, options, err := prepare(serveOptions{listen: []string{"127.0.0.1:0"}, quiet: true}, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	l, err := m.load()
	if err != nil {
		b.Fatal(err)
	}
	m.use(l)
	srv, err := server.Start(options)
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	visits(b, srv.Addrs()[0])
}

func BenchmarkBare(b *testing.B) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		answer := make([]byte, 64)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1024)
				if _, err := c.Read(buf); err == nil {
					_, _ = c.Write(answer)
				}
			}()
		}
	}()
	visits(b, l.Addr().(*net.TCPAddr).AddrPort())
}

func visits(b *testing.B, addr netip.AddrPort) {
	b.SetParallelism(8) // times two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.WriteString(c, "VERSION=40 status ")
			_ = c.CloseWrite()
			if got, err := io.ReadAll(c); err != nil || len(got) == 0 {
				b.Errorf("%q, %v", got, err)
			}
			c.Close()
		}
	})
}

// BenchmarkKeepReport measures a report that is on disk when the client has its answer.
func BenchmarkKeepReport(b *testing.B) {
	s, err := store.Open(filepath.Join(b.TempDir(), "reports.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Put(store.Report{Node: "pc1", Kind: "state", Text: "ISUP"}); err != nil {
				b.Error(err)
			}
		}
	})
}
