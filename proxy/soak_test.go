package proxy

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// soakRequests is how many there are in all; PROXY_SOAK says another number: 640,000
// in `make test`, 6,400,000 in `make soak`.
const soakRequests = 10000

// A soaker is tmcd and its callers' memory of what it said: it answers, and now
// and then breaks down, by what the request says.
type soaker struct{ buffers sync.Pool }

func newSoaker() *soaker {
	return &soaker{sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}}
}

// take answers one connection. It keeps nothing: there are millions.
func (s *soaker) take(tcp *net.TCPConn) {
	defer tcp.Close()
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	raw, err := readAll(tcp, (*buf)[:0])
	if err != nil {
		return
	}
	r, err := protocol.ParseRequest(raw)
	if err != nil {
		return
	}
	fault, _, _ := bytes.Cut(r.Args, []byte{' '})
	full := appendSoakAnswer(raw[len(raw):], r.ProxyFor, r.Command, r.Args)
	switch string(fault) {
	case "reset":
		tcp.SetLinger(0)
	case "reset-midway":
		tcp.Write(full[:len(full)/2])
		tcp.SetLinger(0)
	case "slow":
		tcp.Write(full[:len(full)/2])
		time.Sleep(time.Millisecond)
		tcp.Write(full[len(full)/2:])
	default:
		tcp.Write(full)
	}
}

func (s *soaker) serve(t *testing.T) netip.AddrPort {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			all.Go(func() { s.take(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// readAll is io.ReadAll into a buffer that is there.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		buf = slices.Grow(buf, 512)
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// appendSoakAnswer appends a text that only this question of this jail gets, of a
// length that depends on it.
func appendSoakAnswer(dst []byte, vnode, command string, args []byte) []byte {
	start := len(dst)
	dst = append(append(append(append(append(dst, vnode...), ' '), command...), ' '), args...)
	sum := crc32.ChecksumIEEE(dst[start:])
	word := fmt.Appendf(nil, "=%08x", sum)
	for range sum % 500 {
		dst = append(dst, word...)
	}
	return append(dst, '=')
}

// No answer ever reaches the wrong connection: 64 jails ask at random, tmcd
// breaks down at random, and each answer is checked against its question.
func TestSoakEachAnswerReachesItsQuestion(t *testing.T) {
	total := soakRequests
	if n, err := strconv.Atoi(os.Getenv("PROXY_SOAK")); err == nil {
		total = n
	}
	const jails = 64
	s, dir := supervise(t, "free", nil), t.TempDir()
	s.askAt(newSoaker().serve(t))
	m := control.Message{Op: control.OpListen}
	var files []*os.File
	var paths []string
	for i := range jails {
		name := fmt.Sprintf("pcvm1-%d", i)
		path, f := socket(t, dir, name)
		m.VNodes = append(m.VNodes, control.VNode{VNode: name})
		paths, files = append(paths, path), append(files, f)
	}
	s.order(m, files...)
	var all sync.WaitGroup
	var done atomic.Int64
	begun := time.Now()
	for i := range jails {
		all.Go(func() {
			j := soakJail{path: paths[i], vnode: m.VNodes[i].VNode, random: rand.New(rand.NewPCG(uint64(i), 1))}
			for n := range total / jails {
				if err := j.ask(n); err != nil {
					t.Errorf("%s, request %d: %v", j.vnode, n, err)
					return
				}
				if n := done.Add(1); n%max(1, int64(total/10)) == 0 {
					t.Logf("%d requests, %.0f a second", n, float64(n)/time.Since(begun).Seconds())
				}
			}
		})
	}
	all.Wait()
	t.Logf("soak: %d requests of %d jails, %.0f a second, each with its own answer or its own error",
		done.Load(), jails, float64(done.Load())/time.Since(begun).Seconds())
}

// A soakJail asks, with buffers that it keeps.
type soakJail struct {
	path, vnode            string
	random                 *rand.Rand
	request, reply, answer []byte
}

func (j *soakJail) ask(n int) error {
	faults := [...]string{"none", "none", "none", "slow", "reset", "reset-midway"}
	commands := [...]string{"status", "accounts", "bootlog", "hostnames", "fullconfig"}
	spoofs := [...]string{"", "", "PROXYFOR=pcvm1-7 ", "VNODEID=pcvm1-8 "}
	fault, command := faults[j.random.IntN(len(faults))], commands[j.random.IntN(len(commands))]
	j.request = fmt.Appendf(j.request[:0], "%s%s ", spoofs[j.random.IntN(len(spoofs))], command)
	head := len(j.request)
	j.request = fmt.Appendf(j.request, "%s %d ", fault, n)
	for range j.random.IntN(3000) {
		j.request = append(j.request, 'x')
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: j.path, Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(j.request); err != nil {
		return err
	}
	conn.CloseWrite()
	j.reply, err = readAll(conn, j.reply[:0])
	j.answer = appendSoakAnswer(j.answer[:0], j.vnode, command, j.request[head:])
	switch {
	case strings.HasPrefix(fault, "reset"):
		if !isReset(err) || !bytes.HasPrefix(j.answer, j.reply) {
			return fmt.Errorf("fault %s: %d bytes, %v", fault, len(j.reply), err)
		}
	case err != nil || !bytes.Equal(j.reply, j.answer):
		return fmt.Errorf("fault %s: %.100q, %d bytes, %v; want %.100q, %d bytes", fault, j.reply, len(j.reply), err, j.answer, len(j.answer))
	}
	return nil
}
