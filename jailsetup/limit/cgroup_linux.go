package limit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"emujail/jailsetup/plan"
)

// KindCgroup is the undo of a [Cgroup]: its data is a list of directories, the
// v2 one first.
const KindCgroup = "cgroup"

// KindKill is an undo that only ends the processes: its data is the v2
// directory. Steps that follow record it, so that the way back begins with it.
const KindKill = "kill"

// Deadlines of the way back. A fork bomb at its limit dies in some 50 ms
// (spec/linux.md §13).
const (
	killTimeout   = 10 * time.Second
	removeTimeout = 3 * time.Second
	pollInterval  = 2 * time.Millisecond
)

// Cgroup is the step that makes a jail's cgroups with their limits.
type Cgroup struct {
	Hierarchies
	VNode     string
	Processes int   // pids.max; 0: no limit
	Memory    int64 // bytes; 0: no limit
	CPUShare  int   // 1..10000, 100 is an equal share; 0: the kernel's default
	IO        IO
}

// String implements [plan.Step].
func (c Cgroup) String() string {
	return fmt.Sprintf("make cgroups %s/%s (processes %d, memory %d MiB, cpu share %d)", parent, c.VNode, c.Processes, c.Memory>>20, c.CPUShare)
}

// Dir is the jail's directory in the v2 hierarchy.
func (c Cgroup) Dir() string { return c.dirs(c.VNode, c.controllers()...)[0] }

// Procs are the files that take the jail's first process into the v1
// hierarchies; the v2 one it enters by being born there.
func (c Cgroup) Procs() []string {
	var files []string
	for _, d := range c.dirs(c.VNode, c.controllers()...)[1:] {
		files = append(files, filepath.Join(d, "cgroup.procs"))
	}
	return files
}

// Undo implements [plan.Step].
func (c Cgroup) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo(KindCgroup, c.dirs(c.VNode, c.controllers()...))
	return []plan.Undo{u}, err
}

// Do implements [plan.Step].
func (c Cgroup) Do(context.Context, *plan.State) error {
	for _, d := range c.dirs(c.VNode, c.controllers()...) {
		if err := makeDir(d); err != nil {
			return err
		}
	}
	if err := c.delegate(c.controllers()...); err != nil {
		return err
	}
	for _, w := range c.writes() {
		err := writeThere(filepath.Join(c.dir(w.controller, c.VNode), w.file), w.value)
		if err != nil && !(w.spare && errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("limit %s: %w", w.controller, err)
		}
	}
	return c.limitIO()
}

// controllers are those that the limits need. That of io costs a jail a
// directory more, and is rarely asked for.
func (c Cgroup) controllers() []string {
	if c.IO.Wanted() {
		return append(basic(), ioController)
	}
	return basic()
}

// makeDir makes a jail's directory and the one above it, which the end of
// another jail may take away in between.
func makeDir(path string) error {
	const tries = 16
	var err error
	for range tries {
		if err = os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err = os.Mkdir(path, 0o755); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

type write struct {
	controller, file, value string
	spare                   bool // not every kernel has the file
}

func (c Cgroup) writes() []write {
	var list []write
	if c.Processes > 0 {
		list = append(list, write{"pids", "pids.max", strconv.Itoa(c.Processes), false})
	}
	if c.Memory > 0 {
		// As much again of swap: without a bound one jail takes all that the host has.
		file, swapFile, swap := "memory.max", "memory.swap.max", c.Memory
		if _, v1 := c.V1["memory"]; v1 {
			file, swapFile, swap = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", 2*c.Memory // both together
		}
		list = append(list, write{"memory", file, strconv.FormatInt(c.Memory, 10), false}, write{"memory", swapFile, strconv.FormatInt(swap, 10), true})
	}
	if c.CPUShare > 0 {
		file, value := "cpu.weight", c.CPUShare
		if _, v1 := c.V1["cpu"]; v1 {
			file, value = "cpu.shares", max(2, c.CPUShare*1024/100)
		}
		list = append(list, write{"cpu", file, strconv.Itoa(value), false})
	}
	return list
}

// ID is the kernel's id of the cgroup directory, which is its inode: what
// PIDFD_GET_INFO tells of every process in it (spec/linux.md §11).
func ID(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("stat %s: no inode", dir)
	}
	return st.Ino, nil
}

// Kill ends every process in the v2 directory and waits until the last is
// gone. It reaches processes that have left their parents, and a fork bomb. A
// directory that isn't there is success.
func Kill(ctx context.Context, dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return poll(ctx, killTimeout, func() (bool, error) {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return strings.Contains(string(data), "populated 0"), err
	}, "processes of "+dir+" don't end")
}

// Remove is the deed of [KindCgroup].
func Remove(ctx context.Context, dirs []string) error {
	if len(dirs) == 0 {
		return nil
	}
	if err := Kill(ctx, dirs[0]); err != nil {
		return err
	}
	for _, d := range dirs {
		err := poll(ctx, removeTimeout, func() (bool, error) { return removeDir(d) }, "cgroup "+d+" stays busy")
		if err != nil {
			return err
		}
		// The directory above goes with the last jail; busy is no error.
		if err := os.Remove(filepath.Dir(d)); err != nil && !errors.Is(err, syscall.EBUSY) &&
			!errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeDir removes one directory; v1 says busy for an instant after the last
// process has gone.
func removeDir(dir string) (bool, error) {
	err := os.Remove(dir)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return true, nil
	case errors.Is(err, syscall.EBUSY):
		return false, nil
	}
	return false, err
}

// poll asks done until it says yes, at most for the time given.
func poll(ctx context.Context, most time.Duration, done func() (bool, error), what string) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
