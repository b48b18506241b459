package delay

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// latencyFile takes claims on how long a processor may need to wake up (the
// kernel's PM QoS). A claim is a descriptor, and ends with it.
const latencyFile = "/dev/cpu_dma_latency"

// What is claimed, in µs.
const (
	noSleep  = 0
	anySleep = 2_000_000_000 // what the kernel takes for no claim
)

// vigilTime is how long processors are kept awake after the last frame: a claim
// wakes them all, too dear for every frame of a slow stream.
const vigilTime = 100 * time.Millisecond

// vigil keeps the host's idle processors awake while frames wait. One that
// sleeps wakes up for a timer some 50 µs later than one that doesn't, and on a
// virtual machine, whose host must find it a place first, by milliseconds. Work
// takes an awake idle processor as it takes a sleeping one; what it costs is
// power, and of a hyperthread's sibling or of other guests a part of theirs.
type vigil struct {
	file int // -1: none
	kept bool
	end  int64 // on the loop's clock
}

// openVigil must be called with rights; claims need none.
func openVigil() (*vigil, error) {
	fd, err := unix.Open(latencyFile, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &vigil{file: -1}, fmt.Errorf("open %s: %w", latencyFile, err)
	}
	return &vigil{file: fd}, nil
}

// keep begins the vigil if a frame waits, and ends it some time after the last
// one. It wants to be called again at end, if kept.
func (v *vigil) keep(waiting bool, now int64) (end int64, kept bool) {
	if waiting {
		v.end = now + int64(vigilTime)
		v.claim(true)
	} else if now >= v.end {
		v.claim(false)
	}
	return v.end, v.kept
}

func (v *vigil) claim(kept bool) {
	if v.kept == kept || v.file < 0 {
		return
	}
	latency := uint32(anySleep)
	if kept {
		latency = noSleep
	}
	if _, err := unix.Write(v.file, binary.NativeEndian.AppendUint32(nil, latency)); err != nil {
		unix.Close(v.file) // whatever it claimed, it does no longer
		v.file, v.kept = -1, false
		return
	}
	v.kept = kept
}
