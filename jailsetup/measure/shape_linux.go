package measure

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/shape"
	"emujail/jailsetup/supervise"
)

// What the shaped link of two jails is given, and for how long.
const (
	rateTime       = 2 * time.Second
	delayWanted    = 10 * time.Millisecond
	delayTolerance = 500 * time.Microsecond
	delayPackets   = 5000
	delayTurns     = 3 // the median counts
	delayPerSecond = 1000
)

func shaping() []measurement {
	return []measurement{
		{Figure{Name: "shape_rate", Unit: "%", Limit: 5}, "how far a flooded link of 10 and of 100 Mbit/s is from its rate, the worse", 2, plain, shapeRate},
		{Figure{Name: "shape_delay", Unit: "%", Limit: 99, Least: true}, "of 1,000 packets a second delayed by 10 ms, those within 0.5 ms of it", 2, plain, shapeDelay},
		{Figure{Name: "delay_kpps", Limit: 120, Least: true}, "thousand packets a second by the delay node, one way, on one core", 2, plain, delayRate},
	}
}

// shaped boots two jails and shapes what the first of them sends.
func (h *host) shaped(ctx context.Context, words ...string) (*shape.Status, error) {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return nil, err
	}
	return h.shape(ctx, words...)
}

// shape changes the first jail's end of the LAN, or only looks at it.
func (h *host) shape(ctx context.Context, words ...string) (s *shape.Status, err error) {
	req := supervise.Request{Verb: supervise.VerbShape, Shape: &supervise.ShapeRequest{
		Experiment: experiment, Link: "lan0", Node: h.vnodes[0], Words: words,
	}}
	conn, err := supervise.Dial(ctx, h.site)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = supervise.Call(conn, req, func(r supervise.Reply) {
		if len(r.Links) == 1 {
			s = &r.Links[0]
		}
	})
	if err == nil && s == nil {
		err = errors.New("shape: no link")
	}
	return s, err
}

// shapeRate floods the link at twice its rate, and counts what the other jail's
// interface gets.
func shapeRate(ctx context.Context, h *host, f *Figure) error {
	for i, mbit := range []int{10, 100} {
		word := fmt.Sprintf("out.rate=%dMb", mbit)
		var err error
		if i == 0 {
			_, err = h.shaped(ctx, word)
		} else {
			_, err = h.shape(ctx, word)
		}
		if err != nil {
			return err
		}
		got, err := h.flooded(ctx, mbit)
		if err != nil {
			return err
		}
		off := 100 * (got/float64(mbit)/1e6 - 1)
		f.Value = max(f.Value, max(off, -off))
		f.note("%d Mbit/s: %.3f Mbit/s arrived, %+.2f %%", mbit, got/1e6, off)
	}
	return nil
}

// flooded is what arrives, in bits a second, Ethernet headers counted.
func (h *host) flooded(ctx context.Context, mbit int) (float64, error) {
	from, to, err := h.datagrams()
	if err != nil {
		return 0, err
	}
	defer to.Close()
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer realTime()()
		payload := make([]byte, 1472)
		gap := time.Duration(float64(len(payload)+42) * 8 / float64(2*mbit) * 1e3)
		for began, n := time.Now(), 0; ctx.Err() == nil; n++ {
			if ahead := time.Until(began.Add(time.Duration(n) * gap)); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
			_, _ = from.Write(payload) // what doesn't fit is lost: that is what a flood is
		}
	}()
	defer func() {
		stop()
		from.Close()
		<-ended
	}()
	if err := wait(ctx, rateTime/4); err != nil { // the bucket is empty, the queue full
		return 0, err
	}
	before, began, err := h.received(h.vnodes[1])
	if err != nil {
		return 0, err
	}
	if err := wait(ctx, rateTime); err != nil {
		return 0, err
	}
	after, at, err := h.received(h.vnodes[1])
	return 8 * float64(after-before) / at.Sub(began).Seconds(), err
}

// received are the bytes that eth1 of a jail has got, and when.
func (h *host) received(vnode string) (bytes uint64, at time.Time, err error) {
	r, err := h.record(vnode)
	if err != nil {
		return 0, at, err
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", r.PID))
	at = time.Now()
	if err != nil {
		return 0, at, err
	}
	_, line, ok := strings.Cut(string(data), "eth1:")
	if !ok {
		return 0, at, fmt.Errorf("%s has no eth1", vnode)
	}
	bytes, err = strconv.ParseUint(strings.Fields(line)[0], 10, 64)
	return bytes, at, err
}

// shapeDelay takes the kernel's word for when a packet arrived.
func shapeDelay(ctx context.Context, h *host, f *Figure) error {
	if _, err := h.shaped(ctx, fmt.Sprintf("out.delay=%s", delayWanted)); err != nil {
		return err
	}
	from, to, err := h.datagrams()
	if err != nil {
		return err
	}
	defer from.Close()
	defer to.Close()
	raw, err := to.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err = errors.Join(ctlErr, err); err != nil {
		return err
	}
	var values []float64
	for range delayTurns {
		off, err := punctuality(from, to)
		if err != nil {
			return err
		}
		within, _ := slices.BinarySearch(off, delayTolerance+1)
		values = append(values, 100*float64(within)/delayPackets)
		f.note("%.2f %%: %d of %d arrived; off by %.3f ms in the median, %.3f ms at p99",
			values[len(values)-1], len(off), delayPackets, ms(quantile(off, 0.5)), ms(quantile(off, 0.99)))
	}
	f.Value = median(values)
	return nil
}

// punctuality sends packets and tells, sorted, by how much each that arrives is
// early or late. What was in the machine's way, not the link's, is in it as well.
func punctuality(from, to *net.UDPConn) ([]time.Duration, error) {
	sent := make(chan error, 1)
	go func() { sent <- sendPaced(from) }()
	var off []time.Duration
	buf, oob := make([]byte, 64), make([]byte, 128)
	for range delayPackets {
		_ = to.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, oobn, _, _, err := to.ReadMsgUDPAddrPort(buf, oob)
		if err != nil || n < 8 {
			break // the rest is lost, and not within
		}
		came, err := arrival(oob[:oobn])
		if err != nil {
			return nil, errors.Join(err, <-sent)
		}
		took := time.Duration(came - int64(binary.BigEndian.Uint64(buf)))
		off = append(off, (took - delayWanted).Abs())
	}
	if err := <-sent; err != nil {
		return nil, err
	}
	if len(off) == 0 {
		return nil, errors.New("nothing arrived")
	}
	slices.Sort(off)
	return off, nil
}

// delayRate offers the delay node more than it can take, and counts what it
// carries.
func delayRate(ctx context.Context, h *host, f *Figure) error {
	if _, err := h.shaped(ctx, "out.delay=1ms"); err != nil {
		return err
	}
	from, to, err := h.datagrams()
	if err != nil {
		return err
	}
	defer from.Close()
	defer to.Close()
	node, err := h.delayNode()
	if err != nil {
		return err
	}
	before, err := h.shape(ctx)
	if err != nil {
		return err
	}
	cpu, began := cpuOf(node), time.Now()
	sent, err := flood(from)
	if err != nil {
		return err
	}
	took, used := time.Since(began), cpuOf(node)-cpu
	after, err := h.shape(ctx)
	if err != nil {
		return err
	}
	carried := float64(after.Out.Node.Packets - before.Out.Node.Packets)
	f.Value = carried / took.Seconds() / 1000
	f.note("%.0f thousand a second offered, 60-byte frames; the node was on its processor for %.0f %% of the time: %.0f thousand in a second of it",
		float64(sent)/took.Seconds()/1000, 100*used.Seconds()/took.Seconds(), carried/used.Seconds()/1000)
	return nil
}

// delayNode is the supervisor's process of that name.
func (h *host) delayNode() (int, error) {
	for _, pid := range childrenOf(h.info.PID) {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(exe) == "delaynode" {
			return pid, nil
		}
	}
	return 0, errors.New("no delay node runs")
}
