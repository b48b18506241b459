package check

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/rootfs"
)

// Advice is something with which jails boot, but which an operator had better
// change.
type Advice struct {
	About  string `json:"about"`
	Found  string `json:"found"`
	Remedy string `json:"remedy"`
}

// Setup is what advice is given on: what the site file says.
type Setup struct {
	Shares    []string // directories of the host that jails may write, and the host's users come to
	State     string   // where the jails' disks lie
	Local     string   // the directory of local stores; empty: there are none
	Processes int      // that a jail may have; 0: no limit
	Memory    int64    // bytes that a jail may have; 0: no limit
	Templates string   // where templates are kept; empty: they aren't of the host's /usr
	Names     rootfs.Names
}

// Advise looks at the host. It walks /usr, which takes a second.
func Advise(s Setup) []Advice {
	all := slices.Concat(adviseShares(s.Shares), adviseStores(s), adviseFiles(s))
	all = append(all, adviseNames(s.Names)...)
	all = append(all, adviseCores("/proc/sys/kernel/core_pattern")...)
	if s.Templates != "" {
		all = append(all, adviseMasks(s.Templates)...)
	}
	return all
}

// adviseShares finds the shares in which a jail's root may leave a program that
// runs on the host as another user.
func adviseShares(shares []string) (all []Advice) {
	for _, dir := range shares {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Flags&unix.ST_NOSUID != 0 {
			continue
		}
		all = append(all, Advice{
			"share " + dir, "it isn't mounted nosuid: what a jail leaves there may run as any user from 1000 up for who logs in here",
			"mount it nosuid, or let nobody else log in",
		})
	}
	return all
}

// adviseNames finds jails that would ask this host for names in vain.
func adviseNames(n rootfs.Names) []Advice {
	if stranded, err := n.Stranded(); err != nil || !stranded {
		return nil
	}
	return []Advice{{
		"names", fmt.Sprintf("/etc/resolv.conf names a server on this host's loop-back: jails ask at %s instead, where the host doesn't let them", n.Host),
		fmt.Sprintf("let the server listen at %s, and list udp/53 and tcp/53 (site file: host_ports)", n.Host),
	}}
}

// adviseCores finds a host that sends core dumps to a socket: a jail's limit of
// them, which keeps them from files and programs, doesn't hold there (T13).
func adviseCores(pattern string) []Advice {
	text, err := os.ReadFile(pattern)
	if err != nil || len(text) == 0 || text[0] != '@' {
		return nil
	}
	return []Advice{{
		"kernel.core_pattern", "what crashes in a jail is sent whole to the host's socket " + strings.TrimSpace(string(text)) + ", outside of what the jail may fill",
		"sysctl -w kernel.core_pattern=core, or a program behind a |: neither gets anything of a jail's",
	}}
}

// adviseStores says where jails can fill the file system that their disks are
// promised room on: nothing bounds what they leave in a local store (S31).
func adviseStores(s Setup) []Advice {
	if s.Local == "" {
		return nil
	}
	disks, err := deviceOf(s.State)
	if err != nil {
		return nil // there are no disks yet
	}
	stores, err := deviceOf(s.Local)
	if errors.Is(err, fs.ErrNotExist) {
		stores, err = deviceOf(filepath.Dir(s.Local)) // where it will be made
	}
	if err != nil || stores != disks {
		return nil
	}
	return []Advice{{
		"local stores, " + s.Local, "they lie on the file system of the jails' disks, and nothing bounds what jails leave there",
		"in the site file, local: a directory on a file system of its own, or none",
	}}
}

func deviceOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Dev, err
}

// openFile is what an open file costs a jail of its memory, in bytes.
const openFile = 256

// adviseFiles holds the kernel's one table of open files against what a jail may
// open (T16).
func adviseFiles(s Setup) []Advice {
	most, err := number("fs/file-max")(Load{})
	if err != nil {
		return nil
	}
	each, err := filesOf(s)
	if err != nil || each < most {
		return nil
	}
	return []Advice{{
		"fs.file-max", fmt.Sprintf("one jail may open as many files as the limits let it (%s) and this host has only %d for all: then the proxy opens none", count(each), most),
		fmt.Sprintf("jailsetup serve raises it where it may; else sysctl -w fs.file-max=%d, or lower limits.processes or limits.memory_mib", need(most, 1, min(each, math.MaxInt64/8))),
	}}
}

// RaiseFileMax takes the bound off the kernel's table of open files, as systemd
// does at a host's start, if one jail could fill it (T16). It returns what the
// bound was, 0 if nothing was to do.
func RaiseFileMax(s Setup) (before int64, err error) {
	most, err := number("fs/file-max")(Load{})
	if err != nil {
		return 0, err
	}
	each, err := filesOf(s)
	if err != nil || each < most || most == math.MaxInt64 {
		return 0, err
	}
	return most, os.WriteFile("/proc/sys/fs/file-max", strconv.AppendInt(nil, math.MaxInt64, 10), 0)
}

// filesOf is how many files one jail may open, in all its processes.
func filesOf(s Setup) (int64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	each := int64(math.MaxInt64)
	if s.Memory > 0 {
		each = s.Memory / openFile
	}
	if n := int64(s.Processes); n > 0 && limit.Max < uint64(each/n) {
		each = n * int64(limit.Max)
	}
	return each, nil
}

func count(n int64) string {
	if n == math.MaxInt64 {
		return "any number"
	}
	return fmt.Sprint(n)
}

// adviseMasks finds what has come into /usr since templates were made (S29).
func adviseMasks(templates string) []Advice {
	found, err := rootfs.Unmasked(templates, "/usr")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []Advice{{"files of /usr that others can't read", err.Error(), "mend that, and ask again"}}
	}
	if len(found) == 0 {
		return nil
	}
	return []Advice{{
		"files of /usr that others can't read",
		fmt.Sprintf("%d came after the template was made, and a jail's root can read them: %s", len(found), strings.Join(found[:min(len(found), 3)], " ")),
		"rm " + templates + "/*.masks, then reboot the jails",
	}}
}
