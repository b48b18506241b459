package limit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a jail has used, or uses at this moment.
type Usage struct {
	CPU     time.Duration // since its boot
	Memory  int64         // bytes, with page cache and the kernel's own for it
	Threads int           // processes and their threads
}

// Usage reads the jail's counters where this host keeps them. fs.ErrNotExist
// says that no such jail runs.
func (h Hierarchies) Usage(vnode string) (Usage, error) {
	var u Usage
	v2 := filepath.Join(h.V2, parent, vnode)
	// The kernel counts time in v2 whoever has the cpu controller.
	stat, err := os.ReadFile(filepath.Join(v2, "cpu.stat"))
	if err != nil {
		return u, err
	}
	usec, err := field(string(stat), "usage_usec")
	if err != nil {
		return u, fmt.Errorf("cpu.stat of %s: %w", vnode, err)
	}
	u.CPU = time.Duration(usec) * time.Microsecond
	memory := "memory.current"
	if _, v1 := h.V1["memory"]; v1 {
		memory = "memory.usage_in_bytes"
	}
	if u.Memory, err = number(filepath.Join(h.dir("memory", vnode), memory)); err != nil {
		return u, err
	}
	threads, err := number(filepath.Join(h.dir("pids", vnode), "pids.current"))
	u.Threads = int(threads)
	return u, err
}

// KernelMemory is what the kernel has charged to the jail for itself, in bytes.
func (h Hierarchies) KernelMemory(vnode string) (int64, error) {
	dir := h.dir("memory", vnode)
	if _, v1 := h.V1["memory"]; v1 {
		return number(filepath.Join(dir, "memory.kmem.usage_in_bytes"))
	}
	stat, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	return field(string(stat), "kernel")
}

// field finds the line NAME NUMBER.
func field(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

func number(path string) (int64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
