package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/pki"
	"emujail/tmcd-mock/recorded"
	"emujail/tmcd-mock/server"
)

// soakRequests is how many hostile requests TestSoak sends; MOCK_SOAK says another number.
const soakRequests = 100_000

// soakClients are under way at once.
const soakClients = 64

// TestSoak sends random and mutated requests over many connections, TCP, UDP and the beginning of TLS. The
// server stays up, answers an honest client meanwhile, and gives its memory back.
func TestSoak(t *testing.T) {
	total := soakRequests
	if n, err := strconv.Atoi(os.Getenv("MOCK_SOAK")); err == nil {
		total = n
	}
	srv := soakServer(t)
	addr := srv.Addrs()[0]
	seeds := soakSeeds(t)
	before, goroutines := settle(t, 0), runtime.NumGoroutine()

	var work sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(total))
	for i := range soakClients {
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for left.Add(-1) >= 0 {
				hostile(addr, random, request(random, seeds))
			}
		})
	}
	slowest := honest(t, addr, &left)
	work.Wait()
	t.Logf("soak: %d requests; the honest client's slowest answer took %v", total, slowest)
	if after := settle(t, goroutines); after > before+16<<20 {
		t.Errorf("memory in use grew from %d to %d bytes", before, after)
	}
}

// soakServer serves the recorded testbed, with short deadlines so that clients which hang are many.
func soakServer(t *testing.T) *server.Server {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	if _, err := pki.Create(dir, pki.Options{}); err != nil {
		t.Fatal(err)
	}
	o := serveOptions{listen: []string{"127.0.0.1:0"}, quiet: true, testbed: "../testdata/recorded.yaml", pki: dir, proxied: true}
	m, options, err := prepare(o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.load()
	if err != nil {
		t.Fatal(err)
	}
	m.use(l)
	options.Limits = server.Limits{Idle: time.Second, Request: 2 * time.Second, Write: time.Second}
	srv, err := server.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// soakSeeds are the recorded requests but for those that wait on purpose, and some of other protocols.
func soakSeeds(t *testing.T) [][]byte {
	t.Helper()
	records, err := recorded.Load("../testdata/vectors/tmcd.jsonl")
	if err != nil || len(records) != 2885 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	var seeds [][]byte
	for i := range records {
		if r, err := protocol.ParseRequest(records[i].Request()); err == nil && r.Command == "tmcctest" {
			continue
		}
		seeds = append(seeds, records[i].Request())
	}
	return append(seeds, []byte(protocol.TLSTag+"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01"),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nil)
}

// request is a mutated seed or, one in twenty, noise.
func request(random *rand.Rand, seeds [][]byte) []byte {
	if random.IntN(20) > 0 {
		return mutate(random, seeds[random.IntN(len(seeds))])
	}
	noise := make([]byte, random.IntN(200))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return noise
}

// mutate changes some bytes of a copy: flipped, removed, repeated, random, cut.
func mutate(random *rand.Rand, seed []byte) []byte {
	b := append([]byte(nil), seed...)
	for range random.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := random.IntN(len(b))
		switch random.IntN(5) {
		case 0:
			b[at] ^= byte(1 << random.IntN(8))
		case 1:
			b = append(b[:at], b[at+1:]...)
		case 2:
			b = append(b, b[at:]...)
		case 3:
			b[at] = " =\x00\n\xffV"[random.IntN(6)]
		case 4:
			b = b[:at]
		}
	}
	return b[:min(len(b), 70_000)]
}

// hostile sends b in one of the ways that clients misbehave in. Errors are its own business.
func hostile(addr netip.AddrPort, random *rand.Rand, b []byte) {
	way := random.IntN(200) // most in order, some over UDP, few that the server waits a second for
	if way >= 160 {
		if c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr)); err == nil {
			_, _ = c.Write(b[:min(len(b), 60_000)])
			_ = c.Close()
		}
		return
	}
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+random.IntN(8)))}
	c, err := net.DialTCP("tcp", from, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	half := random.IntN(len(b) + 1)
	_, _ = c.Write(b[:half])
	switch way {
	case 0: // waits for an answer that it never asked for whole
	case 1, 2, 3, 4, 5, 6, 7, 8, 9: // goes away in the middle
		_ = c.SetLinger(0)
		return
	default:
		_, _ = c.Write(b[half:])
		_ = c.CloseWrite()
	}
	if way == 0 || way > 20 { // else it doesn't read
		_, _ = io.Copy(io.Discard, c)
	}
}

// honest asks in between until the others are done. It returns how long the slowest answer took.
func honest(t *testing.T, addr netip.AddrPort, left *atomic.Int64) (slowest time.Duration) {
	t.Helper()
	for left.Load() > 0 {
		begun := time.Now()
		c, err := net.DialTimeout("tcp", addr.String(), 10*time.Second)
		if err != nil {
			t.Fatalf("the honest client: %v", err)
		}
		err = errors.Join(c.SetDeadline(begun.Add(10*time.Second)), write(c, "VERSION=40 nodeid "), c.(*net.TCPConn).CloseWrite())
		got, readErr := io.ReadAll(c)
		c.Close()
		if err != nil || readErr != nil || string(got) != "pc1\n" {
			t.Fatalf("the honest client: %q, %v, %v", got, err, readErr)
		}
		slowest = max(slowest, time.Since(begun))
	}
	return slowest
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// settle waits until no more than so many goroutines are left (0: doesn't wait), and returns the memory in use.
func settle(t *testing.T, goroutines int) uint64 {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); goroutines > 0 && runtime.NumGoroutine() > goroutines; {
		if time.Now().After(end) {
			t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), goroutines)
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	runtime.GC()
	runtime.GC() // the second empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
