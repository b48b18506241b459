//go:build linux && privileged

package shape

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func (r *rig) nodePID() int {
	r.keeper.mu.Lock()
	defer r.keeper.mu.Unlock()
	return r.keeper.node.pid
}

// TestConfined: what carries frames has no rights, no files and no network, and
// the priority that it took before.
func TestConfined(t *testing.T) {
	r := newRig(t, 2)
	r.change("", "delay=1ms")
	pid := r.nodePID()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.Join(strings.Fields(value), " ")
	}
	none := "0000000000000000"
	for key, want := range map[string]string{
		"Uid": "61001 61001 61001 61001", "Gid": "61001 61001 61001 61001", "Groups": "",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if fields[key] != want {
			t.Errorf("%s is %q, want %q", key, fields[key], want)
		}
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || !strings.HasSuffix(root, " (deleted)") {
		t.Errorf("its root is %q, %v; want a directory that is gone", root, err)
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil || ns == own {
		t.Errorf("its network namespace is ours, %v", err)
	}
	if policy, err := unix.SchedGetAttr(pid, 0); err != nil || policy.Policy != unix.SCHED_FIFO || policy.Priority != 10 {
		t.Errorf("its scheduling is %+v, %v; want FIFO 10", policy, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		expected := to == "/dev/cpu_dma_latency" || strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "anon_inode:")
		if !expected && !slices.Contains([]string{"0", "1", "2"}, f.Name()) {
			t.Errorf("it has %s open", to)
		}
	}
}

// TestVigil: idle processors are kept from sleeping while a frame waits, and no
// longer.
func TestVigil(t *testing.T) {
	r := newRig(t, 2)
	r.change("node-a", "out.delay=500ms")
	claimed := func() uint32 { return wakeUp(t) }
	r.roundTrip(r.jails[0], r.jails[1])
	r.await("processors may sleep", func() bool { return claimed() > 0 })
	echoed := make(chan error, 1)
	go func() {
		_, err := r.tryRoundTrip(r.jails[0], r.jails[1], patience)
		echoed <- err
	}()
	r.await("processors mustn't sleep", func() bool { return claimed() == 0 })
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}
	r.await("processors may sleep again", func() bool { return claimed() > 0 })
}

// wakeUp is how long a processor of the host may need to wake up, in µs.
func wakeUp(t *testing.T) uint32 {
	t.Helper()
	data := make([]byte, 4)
	fd, err := unix.Open("/dev/cpu_dma_latency", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Read(fd, data); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint32(data)
}

// TestVigilEndsWithTheNode: a node that is killed while a frame waits claims
// nothing any more.
func TestVigilEndsWithTheNode(t *testing.T) {
	r := newRig(t, 2)
	r.change("node-a", "out.delay=10s")
	from, to := r.jails[0].udp(t), r.jails[1].udp(t).LocalAddr().(*net.UDPAddr).AddrPort()
	r.await("processors mustn't sleep", func() bool {
		_, _ = from.WriteToUDPAddrPort([]byte("late"), to)
		return wakeUp(t) == 0
	})
	if err := unix.Kill(r.nodePID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.await("processors may sleep", func() bool { return wakeUp(t) > 0 })
}

// TestFlood: one link's flood doesn't delay another's frames by more than a
// moment, nor lose them.
func TestFlood(t *testing.T) {
	r := newRig(t, 4)
	r.change("", "delay=5ms")
	r.roundTrip(r.jails[2], r.jails[3])
	stop := make(chan struct{})
	done := make(chan struct{})
	from, to := r.jails[2].udp(t), r.jails[3].udp(t).LocalAddr().(*net.UDPAddr).AddrPort()
	go func() {
		defer close(done)
		for msg := make([]byte, 18); ; {
			select {
			case <-stop:
				return
			default:
				from.WriteToUDPAddrPort(msg, to)
			}
		}
	}()
	late, inOrder := r.probe(t, 1000, 1000, nil)
	close(stop)
	<-done
	slices.Sort(late)
	if len(late) != 1000 || !inOrder {
		t.Fatalf("%d of 1000 arrived, in order: %v", len(late), inOrder)
	}
	t.Logf("median %s, p99 %s beside %d frames of a flood", late[500], late[990], r.status(2).Out.Node.Packets)
	// probe's frames are delayed where they are sent: 5 ms.
	if late[500] < 5*time.Millisecond || late[500] > 20*time.Millisecond {
		t.Errorf("median delay %s beside a flood, want 5 ms", late[500])
	}
}

// TestQueueLength: of a burst, so many packets wait as the queue is long, and
// what the bucket holds goes at once.
func TestQueueLength(t *testing.T) {
	r := newRig(t, 2)
	tests := []struct {
		words    []string
		size     int
		min, max int // of 200
	}{
		{[]string{"none", "rate=200kb", "queue=10"}, 100, 10, 30},
		{[]string{"none", "rate=200kb", "queue=10"}, 1400, 10, 13},
		{[]string{"none", "rate=200kb", "queue=50"}, 1400, 50, 53},
		{[]string{"none", "rate=200kb", "queue=14420B"}, 1400, 10, 13},
	}
	for _, tt := range tests {
		r.change("node-a", "none")
		r.roundTrip(r.jails[0], r.jails[1])
		words := []string{}
		for _, w := range tt.words {
			words = append(words, "out."+w)
		}
		r.change("node-a", words...)
		dropped := r.status(0).Out.QueueDrops
		a := r.jails[0].udp(t)
		b := r.jails[1].udp(t)
		to := b.LocalAddr().(*net.UDPAddr).AddrPort()
		for range 200 {
			a.WriteToUDPAddrPort(make([]byte, tt.size), to)
		}
		b.SetReadDeadline(time.Now().Add(6 * time.Second))
		got, buf := 0, make([]byte, 2048)
		for got < tt.max+1 {
			if _, err := b.Read(buf); err != nil {
				break
			}
			if got++; got >= tt.min {
				b.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			}
		}
		n := r.status(0).Out.QueueDrops - dropped
		if got < tt.min || got > tt.max || math.Abs(float64(got)+float64(n)-200) > 1 {
			t.Errorf("%v, %d bytes: %d came and %d were dropped of 200, want %d to %d", tt.words, tt.size, got, n, tt.min, tt.max)
		}
	}
}
