//go:build linux && privileged

package shape

import (
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkShapeDelay is the bench line shape_delay: 10 ms at 1,000 packets a
// second; how far from it the packets are, measured by the kernel's clock where
// they arrive. The sender has a real-time priority below the node's: its own
// lateness is not the link's.
func BenchmarkShapeDelay(b *testing.B) {
	r := newRig(b, 2)
	r.change("node-a", "out.delay=10ms")
	const want = 10 * time.Millisecond
	var off []time.Duration
	for b.Loop() {
		late, _ := r.probe(b, 5000, 1000, func() func() { return realTimeSender(b) })
		for _, d := range late {
			off = append(off, (d - want).Abs())
		}
	}
	if len(off) == 0 {
		b.Fatal("nothing arrived")
	}
	slices.Sort(off)
	within := 0
	for _, d := range off {
		if d <= 500*time.Microsecond {
			within++
		}
	}
	b.ReportMetric(float64(off[len(off)/2].Microseconds()), "p50-off-µs")
	b.ReportMetric(float64(off[len(off)*99/100].Microseconds()), "p99-off-µs")
	b.ReportMetric(100*float64(within)/float64(len(off)), "%-within-0.5ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkShapeRate is the bench line shape_rate: the share of 10 Mbit/s that
// a flood of datagrams gets, and of 100 Mbit/s.
func BenchmarkShapeRate(b *testing.B) {
	for _, rate := range []struct {
		name string
		bits float64
	}{{"10Mb", 10e6}, {"100Mb", 100e6}} {
		b.Run(rate.name, func(b *testing.B) {
			r := newRig(b, 2)
			r.change("", "rate="+rate.name, "queue=1000")
			share := 0.0
			n := 0
			for b.Loop() {
				share += r.flood(r.jails[0], r.jails[1], rate.bits, 2*time.Second) / rate.bits
				n++
			}
			b.ReportMetric(100*share/float64(n), "%-of-rate")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkDelayKpps is the bench line delay_kpps: how many 60-byte frames a
// second the node carries one way on one core, with a delay of 1 ms, while it
// is offered as many as the other core can send. What it can't take is lost
// before it, so that the figure is the node's.
func BenchmarkDelayKpps(b *testing.B) {
	r := newRig(b, 2)
	r.change("node-a", "out.delay=1ms") // the other end is as it was: each frame crosses the node once
	r.roundTrip(r.jails[0], r.jails[1])
	const batch = 64
	sock := r.flooder(b)
	var hdrs [batch]struct {
		hdr unix.Msghdr
		len uint32
		_   [4]byte
	}
	payload := make([]byte, 60-42)
	iov := unix.Iovec{Base: &payload[0]}
	iov.SetLen(len(payload))
	for i := range hdrs {
		hdrs[i].hdr.Iov = &iov
		hdrs[i].hdr.SetIovlen(1)
	}
	defer realTimeSender(b)()
	before, began := r.status(0).Out.Node, time.Now()
	cpuBefore := r.nodeCPU(b)
	sent := 0
	for b.Loop() {
		// Offer 200,000 a second for a tenth of one.
		for start, n := time.Now(), 0; n < 20_000; n += batch {
			for time.Since(start) < time.Duration(n)*5*time.Microsecond {
			}
			unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(sock), uintptr(unsafe.Pointer(&hdrs[0])), batch, 0, 0, 0)
			sent += batch
		}
	}
	took := time.Since(began)
	after := r.status(0).Out.Node
	cpu := r.nodeCPU(b) - cpuBefore
	carried := float64(after.Packets - before.Packets)
	b.ReportMetric(carried/took.Seconds()/1000, "kpps")
	b.ReportMetric(float64(sent)/took.Seconds()/1000, "kpps-offered")
	b.ReportMetric(carried/cpu.Seconds()/1000, "kpps/core") // by the time that the node ran
	b.ReportMetric(float64(after.Missed-before.Missed), "missed")
	b.ReportMetric(0, "ns/op")
}

// realTimeSender locks the calling goroutine to its thread and gives that a
// real-time priority below the node's, until the function returned is called.
func realTimeSender(b *testing.B) func() {
	runtime.LockOSThread()
	set := func(policy int, priority int32) {
		param := struct{ priority int32 }{priority}
		if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&param))); errno != 0 {
			b.Errorf("set priority of the sender: %v", errno)
		}
	}
	set(unix.SCHED_FIFO|unix.SCHED_RESET_ON_FORK, 5)
	return func() {
		set(unix.SCHED_NORMAL, 0)
		runtime.UnlockOSThread()
	}
}

// flooder is a UDP socket in the first jail, connected to a port of the second
// where nobody reads.
func (r *rig) flooder(b *testing.B) int {
	b.Helper()
	sink := r.jails[1].udp(b)
	to := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	fd := -1
	r.jails[0].in(b, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	})
	b.Cleanup(func() { unix.Close(fd) })
	return fd
}

// nodeCPU is how long the node has run.
func (r *rig) nodeCPU(b *testing.B) time.Duration {
	b.Helper()
	r.keeper.mu.Lock()
	pid := r.keeper.node.pid
	r.keeper.mu.Unlock()
	// clock_getcpuclockid(3): the process's clock by its pid.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
