package network

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Counter is what an interface inside a jail has carried.
type Counter struct {
	Name      string `json:"name"` // the jail's word
	InBytes   uint64 `json:"in_bytes"`
	InFrames  uint64 `json:"in_frames"`
	OutBytes  uint64 `json:"out_bytes"`
	OutFrames uint64 `json:"out_frames"`
}

// maxCounters bounds, in bytes, what a jail with very many interfaces may say.
const maxCounters = 64 << 10

// Counters are those of the interfaces that a jail's first process sees, all
// but its loopback. The caller has pinned the process.
func Counters(pid int) ([]Counter, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCounters))
	if err != nil {
		return nil, err
	}
	return parseCounters(data)
}

// parseCounters reads /proc/net/dev: two lines of head, then NAME: and sixteen
// numbers. A name may hold anything but a blank and a slash, colons too.
func parseCounters(data []byte) ([]Counter, error) {
	const inBytes, inFrames, outBytes, outFrames, columns = 0, 1, 8, 9, 16
	var list []Counter
	data = data[:bytes.LastIndexByte(data, '\n')+1] // not a line that was cut
	head := 2
	for line := range strings.Lines(string(data)) {
		if head > 0 {
			head--
			continue
		}
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 {
			return nil, fmt.Errorf("interface counters: no colon in %q", line)
		}
		c := Counter{Name: strings.TrimLeft(line[:colon], " ")}
		fields := strings.Fields(line[colon+1:])
		if len(fields) != columns {
			return nil, fmt.Errorf("interface counters: %d numbers in %q", len(fields), line)
		}
		for i, to := range map[int]*uint64{inBytes: &c.InBytes, inFrames: &c.InFrames, outBytes: &c.OutBytes, outFrames: &c.OutFrames} {
			n, err := strconv.ParseUint(fields[i], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("interface counters: %w", err)
			}
			*to = n
		}
		if c.Name != "lo" {
			list = append(list, c)
		}
	}
	return list, nil
}
