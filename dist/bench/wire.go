package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// wire are the figures of the protocol, its client and the mock. Ratios are taken
// against a peer that does the least that the task allows.
func wire() []figure {
	return []figure{
		{name: "mock_rps", limit: 0.7, least: true, measure: mockRPS},
		{name: "tmcc_status", limit: 1.6, measure: tmccStatus},
		{name: "size_tmcc", unit: "MiB", limit: 8, measure: sizeOf("./tmcc")},
		{name: "size_injail", unit: "MiB", limit: 8, measure: sizeOf("./jailsetup/injail")},
		{name: "fullconfig_cpu", unit: "ms", limit: 1, measure: fullconfigCPU},
		{name: "mock_load_10k", unit: "s", limit: 2, measure: mockLoad},
	}
}

// mockRPS: requests for status a second, 16 clients with a connection for each,
// against a server that only accepts, reads, writes 64 bytes and closes. Both are
// processes of their own and take turns of a second; the mock doesn't log.
func mockRPS(b *bench) (float64, error) {
	mock, err := b.mock()
	if err != nil {
		return 0, err
	}
	defer mock.stop()
	bare, err := b.bare()
	if err != nil {
		return 0, err
	}
	defer bare.stop()
	var ours, theirs, ratios []float64
	for range 9 {
		x, err := rate(mock.addr, 16, time.Second)
		if err != nil {
			return 0, fmt.Errorf("mock: %w", err)
		}
		y, err := rate(bare.addr, 16, time.Second)
		if err != nil {
			return 0, fmt.Errorf("bare server: %w", err)
		}
		ours, theirs, ratios = append(ours, x), append(theirs, y), append(ratios, x/y)
	}
	b.note("mock_rps: mock %.0f/s, bare server %.0f/s (medians of 9 turns)", median(ours), median(theirs))
	return median(ratios), nil
}

// empty is the least program that says something.
const empty = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"ALLOCATED=jails/demo NICKNAME=vhost-0\") }\n"

// tmccStatus: the whole process `tmcc status` over loopback, against a program that
// prints one line. Median of 100, by turns.
func tmccStatus(b *bench) (float64, error) {
	tmcc, err := b.build("./tmcc")
	if err != nil {
		return 0, err
	}
	source, line := filepath.Join(b.dir, "empty.go"), filepath.Join(b.dir, "empty")
	if err := os.WriteFile(source, []byte(empty), 0o600); err != nil {
		return 0, err
	}
	if err := goBuild(line, source); err != nil {
		return 0, err
	}
	mock, err := b.mock()
	if err != nil {
		return 0, err
	}
	defer mock.stop()
	host, port, _ := strings.Cut(mock.addr, ":")
	var ours, theirs []time.Duration
	for range 100 {
		x, err := timed(tmcc, "-i", "-s", host, "-p", port, "status")
		if err != nil {
			return 0, err
		}
		y, err := timed(line)
		if err != nil {
			return 0, err
		}
		ours, theirs = append(ours, x), append(theirs, y)
	}
	b.note("tmcc_status: tmcc %v, empty program %v (medians of 100)", median(ours), median(theirs))
	return float64(median(ours)) / float64(median(theirs)), nil
}

// timed runs a program, which must say something.
func timed(name string, args ...string) (time.Duration, error) {
	begun := time.Now()
	out, err := exec.Command(name, args...).Output()
	took := time.Since(begun)
	if err == nil && !strings.HasPrefix(string(out), "ALLOCATED=") {
		err = fmt.Errorf("it says %q", out)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return took, nil
}

// sizeOf is a program's file, stripped.
func sizeOf(pkg string) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		file, err := b.build(pkg)
		if err != nil {
			return 0, err
		}
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		return float64(info.Size()) / (1 << 20), nil
	}
}

// fullconfigCPU: processor time of the mock, the kernel's part included, for one
// fullconfig of a vnode of the recorded testbed.
func fullconfigCPU(b *bench) (float64, error) {
	mock, err := b.mock("--testbed", "testdata/recorded.yaml")
	if err != nil {
		return 0, err
	}
	defer mock.stop()
	const request, times = "VNODEID=pcvm1-1 VERSION=40 fullconfig ", 2000
	size := 0
	before, err := mock.cpu()
	if err != nil {
		return 0, err
	}
	for range times {
		if size, err = ask(mock.addr, request); err != nil {
			return 0, err
		}
	}
	after, err := mock.cpu()
	if err != nil {
		return 0, err
	}
	used := after - before
	b.note("fullconfig_cpu: %v for %d requests, %d bytes each", used, times, size)
	return used.Seconds() * 1000 / times, nil
}

// mockLoad: from the start of `tmcd-mock serve` to its first answer, with a testbed
// of 10,000 nodes, as people write them. The least of five: what else the machine
// does only adds to it.
func mockLoad(b *bench) (float64, error) {
	file := filepath.Join(b.dir, "large.yaml")
	text := largeTestbed(1000, 9)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return 0, err
	}
	var times []time.Duration
	for range 5 {
		begun := time.Now()
		mock, err := b.mock("--testbed", file)
		if err != nil {
			return 0, err
		}
		_, err = ask(mock.addr, "VNODEID=pcvm1000-9 VERSION=40 status ")
		times = append(times, time.Since(begun))
		mock.stop()
		if err != nil {
			return 0, err
		}
	}
	b.note("mock_load_10k: %d nodes in %.1f MiB of YAML, from start to first answer; of 5: %v", 1000*10, float64(len(text))/(1<<20), times)
	return slices.Min(times).Seconds(), nil
}

// largeTestbed has so many hosts, and on each so many vnodes, an experiment a host.
func largeTestbed(hosts, vnodes int) []byte {
	var experiments, physical, virtual strings.Builder
	for h := 1; h <= hosts; h++ {
		fmt.Fprintf(&experiments, "  jails/e%d:\n    creator: alice\n    sync_server: node1\n    keyhash: 5f4dcc3b5aa765d61d8327deb882cf99\n"+
			"    eventkey: 9e107d9d372bb6826bd81d3542a419d6\n    lans:\n      lan0: {mask: 255.255.255.0, members: {", h)
		ip := fmt.Sprintf("127.%d.%d.1", 1+h/250, h%250)
		if h == hosts {
			ip = "127.0.0.1"
		}
		fmt.Fprintf(&physical, "  pc%d: {ip: %s, experiment: jails/e%d, name: vhost-0, role: virthost}\n", h, ip, h)
		for v := 1; v <= vnodes; v++ {
			fmt.Fprintf(&experiments, "node%d: 10.1.1.%d, ", v, v)
			fmt.Fprintf(&virtual, "  pcvm%d-%d: {host: pc%d, experiment: jails/e%d, name: node%d, sshdport: %d, startup: /bin/true, jail: {ip: 172.%d.%d.%d}}\n",
				h, v, h, h, v, 30000+v, 16+h/250, h%250, v)
		}
		experiments.WriteString("}}\n")
	}
	return []byte("projects:\n  jails: {name: Jails, head: alice, gid: 6001}\nusers:\n  alice: {name: Alice Able, groups: {jails: project_root}}\n" +
		"experiments:\n" + experiments.String() + "hosts:\n" + physical.String() + "vnodes:\n" + virtual.String())
}
