package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emujail/jailsetup/limit"
)

// Waits: figures of idle jails are taken when they are.
const (
	settleTime = 60 * time.Second
	idleTime   = 30 * time.Second
)

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// outside is what the kernel and our processes take outside of jails, in bytes:
// slab and per-processor memory without what is charged to the jails, and the
// PSS of supervisor, proxy and delay node.
func (h *host) outside(vnodes []string) (int64, error) {
	total, err := meminfo("Slab", "Percpu", "PageTables", "KernelStack")
	if err != nil {
		return 0, err
	}
	for _, pid := range append(childrenOf(h.info.PID), h.info.PID) {
		pss, err := pssOf(pid)
		if err != nil {
			return 0, err
		}
		total += pss
	}
	for _, v := range vnodes {
		kernel, err := kernelMemory(v)
		if err != nil {
			return 0, err
		}
		total -= kernel
	}
	return total, nil
}

// meminfo is the sum of some lines of /proc/meminfo, in bytes.
func meminfo(names ...string) (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, name := range names {
		_, rest, ok := strings.Cut("\n"+string(data), "\n"+name+":")
		if !ok {
			return 0, fmt.Errorf("/proc/meminfo has no %s", name)
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kib << 10
	}
	return sum, nil
}

// childrenOf lists the processes that a process has started.
func childrenOf(pid int) []int {
	var list []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(word)
			if err != nil || inJail(child) { // the jails' first processes are its children too
				continue
			}
			list = append(list, child)
		}
	}
	return list
}

func inJail(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && strings.Contains(string(data), "/emulab/")
}

// pssOf is a process's proportional share of memory, in bytes; 0 if it has
// ended.
func pssOf(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, nil
	}
	_, rest, ok := strings.Cut(string(data), "\nPss:")
	if !ok {
		return 0, nil
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}

// kernelMemory is what the kernel charges to the jail for itself, in bytes.
func kernelMemory(vnode string) (int64, error) {
	hierarchies, err := limit.Discover()
	if err != nil {
		return 0, err
	}
	return hierarchies.KernelMemory(vnode)
}

func memoryOutside(ctx context.Context, h *host, f *Figure) error {
	// The first jail brings what all share.
	if err := h.bootAll(ctx, h.vnodes[:1]); err != nil {
		return err
	}
	if err := h.settle(ctx, settleTime/12); err != nil {
		return err
	}
	before, err := h.outside(h.vnodes[:1])
	if err != nil {
		return err
	}
	if err := h.bootAll(ctx, h.vnodes[1:]); err != nil {
		return err
	}
	if err := h.settle(ctx, settleTime/12); err != nil {
		return err
	}
	after, err := h.outside(h.vnodes)
	if err != nil {
		return err
	}
	n := len(h.vnodes) - 1
	f.Value = float64(after-before) / float64(n) / (1 << 20)
	f.note("slab, page tables, per-processor memory, supervisor, proxy and delay node, without what is charged to jails: %d KiB more with %d more jails", (after-before)>>10, n)
	return nil
}

// processesOf lists the processes of a cgroup.
func processesOf(cgroup string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// insideMemory is the PSS of all jails' processes after a minute, in bytes a
// jail: of the agents, and of the others.
func (h *host) insideMemory(ctx context.Context, f *Figure) (others, agents int64, err error) {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return 0, 0, err
	}
	if err := h.settle(ctx, settleTime); err != nil {
		return 0, 0, err
	}
	byName := map[string]int64{}
	for _, v := range h.vnodes {
		r, err := h.record(v)
		if err != nil {
			return 0, 0, err
		}
		pids, err := processesOf(r.CgroupDir)
		if err != nil {
			return 0, 0, err
		}
		for _, pid := range pids {
			pss, err := pssOf(pid)
			if err != nil {
				return 0, 0, err
			}
			byName[nameOf(pid)] += pss
		}
	}
	n := int64(len(h.vnodes))
	for name, bytes := range byName {
		if name == agentsProgram {
			agents += bytes / n
		} else {
			others += bytes / n
		}
		byName[name] = bytes / n >> 10
	}
	f.note("KiB a jail: %s", show(byName))
	return others, agents, nil
}

func memoryInside(ctx context.Context, h *host, f *Figure) error {
	others, agents, err := h.insideMemory(ctx, f)
	if err != nil {
		return err
	}
	f.Value = float64(others) / (1 << 20)
	f.note("not in the figure: the agents (%s), %.2f MiB a jail; with them %.2f MiB", agentsProgram,
		float64(agents)/(1<<20), float64(others+agents)/(1<<20))
	return nil
}

func memoryAgents(ctx context.Context, h *host, f *Figure) error {
	others, agents, err := h.insideMemory(ctx, f)
	if err != nil {
		return err
	}
	if agents == 0 {
		return fmt.Errorf("no jail has a process %s", agentsProgram)
	}
	f.Value = float64(others+agents) / (1 << 20)
	return nil
}

// agentsProgram is what looks after a jail's program and traffic agents. What is
// promised is of init, syslogd, cron and sshd.
const agentsProgram = "injail-rc"

func nameOf(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "ended"
	}
	return strings.TrimSpace(string(data))
}

func idleCPU(ctx context.Context, h *host, f *Figure) error {
	if err := h.bootAll(ctx, h.vnodes); err != nil {
		return err
	}
	if err := h.settle(ctx, settleTime/4); err != nil {
		return err
	}
	used := func() (jails, ours time.Duration, err error) {
		hierarchies, err := limit.Discover()
		if err != nil {
			return 0, 0, err
		}
		for _, v := range h.vnodes {
			u, err := hierarchies.Usage(v)
			if err != nil {
				return 0, 0, err
			}
			jails += u.CPU
		}
		for _, pid := range append(childrenOf(h.info.PID), h.info.PID) {
			ours += cpuOf(pid)
		}
		return jails, ours, nil
	}
	jails, ours, err := used()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := wait(ctx, idleTime); err != nil {
		return err
	}
	jailsNow, oursNow, err := used()
	if err != nil {
		return err
	}
	past := time.Since(began)
	f.Value = 100 * float64(jailsNow-jails+oursNow-ours) / float64(past)
	f.note("in %s the %d jails used %.1f ms, supervisor and proxy %.1f ms", past.Round(time.Second), len(h.vnodes), ms(jailsNow-jails), ms(oursNow-ours))
	return nil
}

// cpuOf is the time that a process has had. /proc/PID/schedstat counts
// nanoseconds of one thread; the sum is over all.
func cpuOf(pid int) time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var sum time.Duration
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.Fields(string(data))[0], 10, 64); err == nil {
			sum += time.Duration(n)
		}
	}
	return sum
}
