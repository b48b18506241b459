package proxy

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// soakRequests is how many there are in all; PROXY_SOAK says another number.
const soakRequests = 10000

// faulty answers, and now and then breaks down: by what the request says, so
// that the client knows what to expect.
func faulty(c net.Conn, _ []byte, r protocol.Request) {
	fault, _, _ := strings.Cut(string(r.Args), " ")
	full := soakAnswer(r.ProxyFor, r.Command, string(r.Args))
	tcp := c.(*net.TCPConn)
	switch fault {
	case "reset":
		tcp.SetLinger(0)
	case "reset-midway":
		io.WriteString(c, full[:len(full)/2])
		tcp.SetLinger(0)
	case "slow":
		for _, part := range strings.SplitAfterN(full, "=", 5) {
			io.WriteString(c, part)
			time.Sleep(time.Millisecond)
		}
	default:
		io.WriteString(c, full)
	}
}

// soakAnswer is a text that only this question of this jail gets, of a length
// that depends on it.
func soakAnswer(vnode, command, args string) string {
	h := fnv.New32a()
	io.WriteString(h, vnode+command+args)
	return fmt.Sprintf("%s %s %s", vnode, command, args) + strings.Repeat(fmt.Sprintf("=%08x", h.Sum32()), int(h.Sum32()%500)) + "="
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
	s.useTmcd(startTmcd(t, faulty))
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
	for i := range jails {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for n := range total / jails {
				if err := soakOne(paths[i], m.VNodes[i].VNode, n, random); err != nil {
					t.Errorf("%s, request %d: %v", m.VNodes[i].VNode, n, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func soakOne(path, vnode string, n int, random *rand.Rand) error {
	faults := []string{"none", "none", "none", "slow", "reset", "reset-midway"}
	commands := []string{"status", "accounts", "bootlog", "hostnames", "fullconfig"}
	spoofs := []string{"", "", "PROXYFOR=pcvm1-7 ", "VNODEID=pcvm1-8 "}
	fault, command := faults[random.IntN(len(faults))], commands[random.IntN(len(commands))]
	args := fmt.Sprintf("%s %d %s", fault, n, strings.Repeat("x", random.IntN(3000)))
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, spoofs[random.IntN(len(spoofs))]+command+" "+args); err != nil {
		return err
	}
	conn.CloseWrite()
	reply, err := io.ReadAll(conn)
	want := soakAnswer(vnode, command, args)
	switch {
	case strings.HasPrefix(fault, "reset"):
		if !isReset(err) || !strings.HasPrefix(want, string(reply)) {
			return fmt.Errorf("fault %s: %d bytes, %v", fault, len(reply), err)
		}
	case err != nil || string(reply) != want:
		return fmt.Errorf("fault %s: %.100q, %v; want %.100q", fault, reply, err, want)
	}
	return nil
}
