package verify

import (
	"cmp"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/rootfs/tree"
)

// apart wants namespaces that aren't this host's.
func (f *Facts) apart(kinds ...string) error {
	for _, kind := range kinds {
		if !f.Namespaces[kind].Own {
			return fmt.Errorf("the jail is in the host's %s namespace", kind)
		}
	}
	return nil
}

func hostNameOuter(f *Facts) error {
	if err := f.apart("uts"); err != nil {
		return err
	}
	if f.Namespaces["uts"].ByOwner {
		return fmt.Errorf("the jail's user namespace owns its host name")
	}
	return nil
}

func mountsLocked(f *Facts) error {
	if err := f.apart("user", "mnt"); err != nil {
		return err
	}
	if !f.Namespaces["mnt"].ByOwner {
		return fmt.Errorf("the jail's mount namespace isn't its user namespace's: what is mounted isn't locked")
	}
	return nil
}

func processesApart(f *Facts) error {
	if err := f.apart("pid"); err != nil {
		return err
	}
	for _, p := range f.Processes {
		if !p.Mapped {
			return fmt.Errorf("process %d in the jail's cgroup has ids that aren't the jail's: %s", p.PID, strings.Join(strings.Fields(p.Status["Uid"]), " "))
		}
	}
	if len(f.Processes) == 0 {
		return fmt.Errorf("no process is in the jail's cgroup %s", f.Record.CgroupDir)
	}
	return nil
}

// idsMapped wants the range that is recorded, alone, and nobody else's.
func idsMapped(f *Facts) error {
	for _, name := range [...]string{"uid_map", "gid_map"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", f.Record.PID, name))
		if err != nil {
			return err
		}
		want := fmt.Sprintf("0 %d %d", f.Record.IDBase, tree.IDCount)
		if got := strings.Join(strings.Fields(string(text)), " "); got != want {
			return fmt.Errorf("%s is %q, recorded is %q", name, got, want)
		}
	}
	return f.apart("user")
}

func rangesApart(f *Facts) error {
	for _, other := range f.Others {
		if f.Record.IDBase < other.IDBase+tree.IDCount && other.IDBase < f.Record.IDBase+tree.IDCount {
			return fmt.Errorf("ids %d and up are also those of %s", max(f.Record.IDBase, other.IDBase), other.VNode)
		}
	}
	return idsMapped(f)
}

// neverHeld are capabilities that no jail has in its bounding set.
func neverHeld() map[string]int {
	return map[string]int{
		"mknod": unix.CAP_MKNOD, "sys_module": unix.CAP_SYS_MODULE, "sys_time": unix.CAP_SYS_TIME, "sys_rawio": unix.CAP_SYS_RAWIO,
		"syslog": unix.CAP_SYSLOG, "bpf": unix.CAP_BPF, "perfmon": unix.CAP_PERFMON, "linux_immutable": unix.CAP_LINUX_IMMUTABLE,
	}
}

// filtered wants each process to be under a system call filter and without
// the capabilities that no jail has. A process in a user namespace of its own
// making has a full set, which counts there only: it is that of its first
// process that matters.
func filtered(f *Facts) error {
	for _, p := range f.Processes {
		if p.Status["Seccomp"] != "2" {
			return fmt.Errorf("process %d of the jail has no system call filter (Seccomp: %s)", p.PID, p.Status["Seccomp"])
		}
		if p.PID != f.Record.PID {
			continue
		}
		held, err := strconv.ParseUint(p.Status["CapBnd"], 16, 64)
		if err != nil {
			return err
		}
		for name, number := range neverHeld() {
			if held&(1<<number) != 0 {
				return fmt.Errorf("CAP_%s is in the bounding set of the jail's first process", strings.ToUpper(name))
			}
		}
	}
	return processesApart(f)
}

// holds tells whether a capability is in the bounding set of the first process.
func (f *Facts) holds(number int) bool {
	for _, p := range f.Processes {
		if p.PID == f.Record.PID {
			held, err := strconv.ParseUint(p.Status["CapBnd"], 16, 64)
			return err != nil || held&(1<<number) != 0
		}
	}
	return false
}

// nothingInherited wants the first process to have no capability that its
// children would inherit past a change of user.
func nothingInherited(f *Facts) error {
	for _, p := range f.Processes {
		if p.PID != f.Record.PID {
			continue
		}
		for _, key := range [...]string{"CapInh", "CapAmb"} {
			if strings.Trim(p.Status[key], "0") != "" {
				return fmt.Errorf("%s of the jail's first process is %s", key, p.Status[key])
			}
		}
	}
	return nil
}

// descriptors wants the first process to have no directory and no disk open.
func descriptors(f *Facts) error {
	dir := fmt.Sprintf("/proc/%d/fd", f.Record.PID)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, e.Name()), &st); err != nil {
			continue // closed meanwhile
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR, unix.S_IFBLK:
			return fmt.Errorf("the jail's first process has a directory or a disk open, as descriptor %s", e.Name())
		}
	}
	return nil
}

// linksNothing wants the first process's program to need no library.
func linksNothing(f *Facts) error {
	file, err := elf.Open(fmt.Sprintf("/proc/%d/exe", f.Record.PID))
	if err != nil {
		return err
	}
	defer file.Close()
	if libs, _ := file.ImportedLibraries(); len(libs) > 0 || file.Section(".interp") != nil {
		return fmt.Errorf("the jail's first process loads %v", libs)
	}
	return nil
}

// canBeEnded wants the cgroup that kills the jail to hold its first process.
func canBeEnded(f *Facts) error {
	for _, name := range [...]string{"cgroup.kill", "cgroup.freeze"} {
		if _, err := os.Stat(filepath.Join(f.Record.CgroupDir, name)); err != nil {
			return err
		}
	}
	for _, p := range f.Processes {
		if p.PID == f.Record.PID {
			return f.apart("cgroup")
		}
	}
	return fmt.Errorf("the jail's first process isn't in its cgroup %s", f.Record.CgroupDir)
}

// countedApart wants the kernel to count a jail's inotify instances and namespaces
// as its own, and its cgroups to bound the rest.
func countedApart(f *Facts) error {
	if f.Owner != f.Record.IDBase {
		return fmt.Errorf("what it takes of inotify instances and namespaces is counted for user id %d of the host, not for its own, %d: reboot it", f.Owner, f.Record.IDBase)
	}
	return bounded(f)
}

// bounded wants the limits of the site file, read where the first process is.
func bounded(f *Facts) error {
	l := f.Site.Limits
	for _, w := range []struct {
		controller, v1, v2 string
		most               int64
	}{
		{"pids", "pids.max", "pids.max", int64(l.Processes)},
		{"memory", "memory.limit_in_bytes", "memory.max", int64(l.MemoryMiB) << 20},
	} {
		if w.most == 0 {
			continue // the operator wants none
		}
		name := w.v2
		if f.Limits.V1[w.controller] != "" {
			name = w.v1
		}
		dir, err := f.cgroupOf(w.controller)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		got := strings.TrimSpace(string(text))
		if n, err := strconv.ParseInt(got, 10, 64); err != nil || n > w.most {
			return fmt.Errorf("%s of the jail is %s, the site file says %d", name, got, w.most)
		}
	}
	return nil
}

// cgroupOf is the directory that the first process is in, for a controller.
func (f *Facts) cgroupOf(controller string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", f.Record.PID))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			mount := f.Limits.V1[controller]
			if name == controller && mount != "" || name == "" && mount == "" {
				return filepath.Join(cmp.Or(mount, f.Limits.V2), parts[2]), nil
			}
		}
	}
	return "", fmt.Errorf("the jail's first process is in no cgroup of %s", controller)
}

// diskBounded wants the root to be a disk of the size that is reserved.
func diskBounded(f *Facts) error {
	root, err := f.at("/")
	if err != nil {
		return err
	}
	if root.FSType != "ext4" {
		return fmt.Errorf("the jail's root is %s, not a disk of its own", root.FSType)
	}
	info, err := os.Lstat(f.Site.ImagePath(f.Record.VNode))
	if err != nil {
		return err
	}
	if f.Record.DiskBytes > 0 && info.Size() > f.Record.DiskBytes {
		return fmt.Errorf("the jail's disk has %d bytes, reserved are %d", info.Size(), f.Record.DiskBytes)
	}
	return nil
}

// writesBounded wants, beside the disk, the limit of core dumps that keeps the
// host from having them written by a program of its own: that of the first
// process, which nobody inside can change.
func writesBounded(f *Facts) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", f.Record.PID))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if limits, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if limit := strings.Fields(limits); !slices.Equal(limit, []string{"1", "1", "bytes"}) {
				return fmt.Errorf("the limit of core dumps is %s: only at 1 does the kernel start no program for one", strings.Join(limit, " "))
			}
			return diskBounded(f)
		}
	}
	return errors.New("the first process has no limit of core dumps")
}

// recordsPrivate wants what the host knows of the jail to be root's alone.
func recordsPrivate(f *Facts) error {
	dir := f.Site.Dir(f.Record.VNode)
	if err := private(f.Site.State, dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if info.Mode().Perm()&0o077 != 0 && info.Mode().IsRegular() {
			return fmt.Errorf("%s has mode %o: want 0600", filepath.Join(dir, e.Name()), info.Mode().Perm())
		}
	}
	return nil
}

// traced wants the trace of the boot to be there, and to be JSON.
func traced(f *Facts) error {
	path := f.Site.TracePath(f.Record.VNode)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !json.Valid(text) {
		return fmt.Errorf("%s is no JSON", path)
	}
	return nil
}
