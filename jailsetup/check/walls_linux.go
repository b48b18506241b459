package check

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A jail's share of what a host has a fixed number of, measured on idle jails
// with one link (a test holds them against real ones). What a site's limits
// allow a jail is more; that no host has for all at once.
const (
	jailTasks       = 20      // threads: init 8, agents 8, syslogd, cron, sshd
	jailDescriptors = 8       // of the supervisor: sockets, what waits at them, pidfds
	jailNeighbours  = 4       // in the jail and at its routers; more with each peer it talks to
	jailMemory      = 5 << 20 // inside 3 to 4 MiB, outside 0.7
	jailNamespaces  = 1       // of root's, of a kind; what a jail makes itself is counted as its own
	jailInotify     = 8       // its own, too
	fixedMemory     = 96 << 20
)

// What this kernel is built with.
const (
	bridgePorts = 1023       // BR_MAX_PORTS, one number is not used
	loopDevices = 1<<20 - 16 // minor numbers
)

// Wall is something of which a host has a fixed number, and of which each jail
// takes some.
type Wall struct {
	Name    string `json:"name"`
	Most    int64  `json:"most"`     // the host has
	Used    int64  `json:"used"`     // by others and by jails that run
	PerJail int64  `json:"per_jail"` // one takes
	Fits    int    `json:"fits"`     // so many jails in all, those that run with it
	Soft    bool   `json:"soft"`     // jails boot beyond it; what they want to do then may fail
	Own     bool   `json:"own"`      // each jail has Most of its own: enough for one is enough for all
	Remedy  string `json:"remedy"`   // what lifts it
}

// Load is what the walls are held against.
type Load struct {
	Jails     int   // wanted, in all
	Running   int   // already
	DiskBytes int64 // a disk's size; 0: disks are overcommitted
	DiskRoom  int64 // free and not reserved
	DiskMade  int   // jails that have a disk
}

// Walls lists what this host can't have more of, the nearest wall first. What
// this kernel doesn't tell is left out.
func Walls(l Load) []Wall {
	walls := slices.Concat(tableWalls(l), kernelWalls(l))
	if w, err := memoryWall(l); err == nil {
		walls = append(walls, w)
	}
	if l.DiskBytes > 0 {
		w := Wall{Name: "disk", Most: max(0, l.DiskRoom), PerJail: l.DiskBytes, Remedy: "a smaller limits.disk_mib, or overcommit: true, in the site file"}
		walls = append(walls, w.fit(l.DiskMade))
	}
	slices.SortStableFunc(walls, func(a, b Wall) int { return cmp.Compare(a.Fits, b.Fits) })
	return walls
}

// fit works out how many jails fit, if so many are counted in Used.
func (w Wall) fit(here int) Wall {
	if w.Own {
		w.Fits = 0
		if w.Most >= w.PerJail {
			w.Fits = math.MaxInt32
		}
		return w
	}
	more := max(0, w.Most-w.Used) / w.PerJail
	w.Fits = int(min(more, math.MaxInt32-int64(here))) + here
	return w
}

// tableWalls are those that don't depend on what else runs.
func tableWalls(l Load) []Wall {
	walls := []Wall{
		{Name: "ports of a bridge", Most: bridgePorts, PerJail: 1, Remedy: "none: the kernel's; more jails need another host"},
		{Name: "addresses of a host in the address plan", Most: 254, PerJail: 1, Remedy: "vnodes of a second host (control: number in the site file)"},
		{Name: "loop devices", Most: loopDevices, PerJail: 1, Remedy: "none: the kernel's"},
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		most := int64(min(limit.Max, math.MaxInt64))
		want := need(64, l.Jails, jailDescriptors)
		remedy := fmt.Sprintf("LimitNOFILE=%d in its unit, or ulimit -Hn before it starts", want)
		if ceiling, err := number("fs/nr_open")(l); err == nil && want > ceiling {
			remedy = fmt.Sprintf("sysctl -w fs.nr_open=%d, then %s", want, remedy)
		}
		walls = append(walls, Wall{Name: "open files of the supervisor", Most: most, Used: 64, PerJail: jailDescriptors, Remedy: remedy})
		walls[len(walls)-1].Used += int64(l.Running) * jailDescriptors
	}
	for i, w := range walls {
		if w.Used == 0 {
			walls[i].Used = int64(l.Running) * w.PerJail
		}
		walls[i] = walls[i].fit(l.Running)
	}
	return walls
}

// need is a round number that is enough for so many jails.
func need(others int64, jails int, each int64) int64 {
	want := others + int64(jails)*each
	round := int64(1024)
	for round < want {
		round *= 2
	}
	return round
}

// setting is a wall that a file below /proc/sys is.
type setting struct {
	name, file string
	perJail    int64
	used       func(l Load) (int64, error)
	reserve    string // a file with a part of it that jails don't get
	soft       bool
	own        bool
}

func kernelWalls(l Load) []Wall {
	var walls []Wall
	for _, s := range [...]setting{
		{"process ids", "kernel/pid_max", jailTasks, tasks, "", false, false},
		{"threads", "kernel/threads-max", jailTasks, tasks, "", false, false},
		{"terminals, if each jail uses one", "kernel/pty/max", 1, number("kernel/pty/nr"), "kernel/pty/reserve", true, false},
		{"neighbours, IPv4", "net/ipv4/neigh/default/gc_thresh3", jailNeighbours, perJail(jailNeighbours), "", false, false},
		{"neighbours, IPv6", "net/ipv6/neigh/default/gc_thresh3", jailNeighbours, perJail(jailNeighbours), "", true, false},
		{"inotify instances, each jail has its own", "fs/inotify/max_user_instances", jailInotify, perJail(0), "", true, true},
		{"open files of the host", "fs/file-max", 160, firstOf("fs/file-nr"), "", false, false},
		{"user namespaces", "user/max_user_namespaces", jailNamespaces, perJail(jailNamespaces), "", false, false},
		{"mount namespaces", "user/max_mnt_namespaces", jailNamespaces, perJail(jailNamespaces), "", false, false},
		{"uts namespaces", "user/max_uts_namespaces", jailNamespaces, perJail(jailNamespaces), "", false, false},
		{"ipc namespaces", "user/max_ipc_namespaces", jailNamespaces, perJail(jailNamespaces), "", false, false},
	} {
		if w, err := s.wall(l); err == nil {
			walls = append(walls, w)
		}
	}
	return walls
}

func (s setting) wall(l Load) (Wall, error) {
	most, err := number(s.file)(l)
	if err != nil {
		return Wall{}, err
	}
	used, err := s.used(l)
	if err != nil {
		return Wall{}, err
	}
	set := need(used, l.Jails, s.perJail)
	if s.own {
		set = need(used, 1, s.perJail)
	}
	if s.reserve != "" {
		reserve, err := number(s.reserve)(l)
		if err != nil {
			return Wall{}, err
		}
		most -= reserve
		set += reserve
	}
	w := Wall{Name: s.name, Soft: s.soft, Own: s.own, Most: most, Used: used, PerJail: s.perJail,
		Remedy: fmt.Sprintf("sysctl -w %s=%d", strings.ReplaceAll(s.file, "/", "."), set)}
	return w.fit(l.Running), nil
}

// number reads a file below /proc/sys.
func number(file string) func(Load) (int64, error) { return firstOf(file) }

func firstOf(file string) func(Load) (int64, error) {
	return func(Load) (int64, error) {
		data, err := os.ReadFile("/proc/sys/" + file)
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(data))
		if len(fields) == 0 {
			return 0, fmt.Errorf("/proc/sys/%s is empty", file)
		}
		return strconv.ParseInt(fields[0], 10, 64)
	}
}

// perJail is for what the kernel doesn't count for us.
func perJail(each int64) func(Load) (int64, error) {
	return func(l Load) (int64, error) { return int64(l.Running) * each, nil }
}

// tasks counts the threads of the host, jails' too.
func tasks(Load) (int64, error) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data)) // … RUNNING/ALL LAST
	if len(fields) < 4 {
		return 0, errors.New("/proc/loadavg: too few fields")
	}
	_, all, _ := strings.Cut(fields[3], "/")
	return strconv.ParseInt(all, 10, 64)
}

func memoryWall(l Load) (Wall, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Wall{}, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			w := Wall{Name: "memory, of idle jails", Most: kib << 10, Used: fixedMemory, PerJail: jailMemory, Remedy: "more memory, or swap"}
			return w.fit(l.Running), err
		}
	}
	return Wall{}, fs.ErrNotExist
}

// CrowdError says that a host doesn't hold so many jails.
type CrowdError struct {
	Jails int
	Walls []Wall // those that are too near
}

// Error implements error: the nearest wall by name, and what lifts it.
func (e *CrowdError) Error() string {
	w := e.Walls[0]
	text := fmt.Sprintf("this host holds %d jails, not %d: %s (%s)", w.Fits, e.Jails, w.Name, w.Remedy)
	if n := len(e.Walls) - 1; n > 0 {
		text += fmt.Sprintf("; and %d more (jailsetup doctor --jails %d)", n, e.Jails)
	}
	return text
}

// Admit is nil, or a [CrowdError] if the host doesn't hold so many jails.
func Admit(l Load) error {
	walls := slices.DeleteFunc(Walls(l), func(w Wall) bool { return w.Soft || w.Fits >= l.Jails })
	if len(walls) == 0 {
		return nil
	}
	return &CrowdError{l.Jails, walls}
}
