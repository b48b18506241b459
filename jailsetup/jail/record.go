package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"emujail/jailsetup/wholefile"
)

// Desired is what a jail is meant to be.
type Desired string

// The desired states. A destroyed jail has no record.
const (
	Running Desired = "running"
	Halted  Desired = "halted" // keep the disk
)

// Phase is what a jail is.
type Phase string

// The phases, in the order of a life.
const (
	Down     Phase = "down"     // nothing of it runs or stands but its disk
	Building Phase = "building" // a plan is under way
	Up       Phase = "up"       // its first process runs
	Leaving  Phase = "leaving"  // being halted
)

// Record is what is known of a jail. It is on disk, synced, before what it
// says is done.
type Record struct {
	VNode   string  `json:"vnode"`
	Desired Desired `json:"desired"`
	Phase   Phase   `json:"phase"`
	IDBase  int     `json:"id_base"` // the host's id for the jail's root
	Boot    int     `json:"boot"`    // serial of the boot, from 1
	BootID  string  `json:"boot_id"` // of the host's kernel: a record of another boot names no process

	PID       int    `json:"pid,omitempty"` // of the first process
	StartTime uint64 `json:"start_time,omitempty"`
	Cgroup    uint64 `json:"cgroup,omitempty"` // id of the v2 directory
	CgroupDir string `json:"cgroup_dir,omitempty"`

	DiskBytes int64 `json:"disk_bytes,omitempty"` // reserved for the disk: its size

	Project    string `json:"project,omitempty"` // pid, in the testbed's words
	Experiment string `json:"experiment,omitempty"`
	NickName   string `json:"nickname,omitempty"`
	Hostname   string `json:"hostname,omitempty"`
	Address    string `json:"address,omitempty"` // on the control network; of a jail that shares it, the host's
	SSHDPort   int    `json:"sshd_port,omitempty"`
	Ended      string `json:"ended,omitempty"`   // how the last boot ended, for people
	Aliases    bool   `json:"aliases,omitempty"` // tmcd told of aliases at the last boot

	// Of a jail that shares the host's address: the one of its interface, and
	// the ports that are its own.
	Private  netip.Addr `json:"private,omitzero"`
	PortLow  int        `json:"port_low,omitempty"`
	PortHigh int        `json:"port_high,omitempty"`
}

// endedReboot is how a boot ends when somebody inside says reboot.
const endedReboot = "rebooted from inside"

// vnodeName is what a vnode may be called: as on the wire, and no file name
// with a meaning.
var vnodeName = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_]{0,29}$`)

// CheckName says what is wrong with a vnode's name.
func CheckName(vnode string) error {
	if !vnodeName.MatchString(vnode) {
		return fmt.Errorf("vnode %q: want 1 to 30 letters, digits, _ or -, with no - at its head, as tmcd knows it", vnode)
	}
	return nil
}

const recordName = "record.json"

// Load reads a vnode's record; fs.ErrNotExist says that there is no such jail.
func (s Site) Load(vnode string) (Record, error) {
	var r Record
	if err := CheckName(vnode); err != nil {
		return r, err
	}
	path := filepath.Join(s.Dir(vnode), recordName)
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("record %s: %w", path, err)
	}
	if r.VNode != vnode {
		return r, fmt.Errorf("record %s: names %q", path, r.VNode)
	}
	return r, nil
}

// List is every vnode with a directory, in the order of their numbers. One
// whose boot ended before its record was written is in it.
func (s Site) List() ([]string, error) {
	entries, err := os.ReadDir(s.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, compareNames)
	return names, nil
}

// Save writes the record, whole and synced, in place of the old one.
func (s Site) Save(r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := wholefile.WriteSynced(filepath.Join(s.Dir(r.VNode), recordName), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write record of %s: %w", r.VNode, err)
	}
	return nil
}

// compareNames orders by prefix, then by the number at the end: pcvm1-9 before
// pcvm1-10 (jail.md §2.1).
func compareNames(a, b string) int {
	pa, na := splitNumber(a)
	pb, nb := splitNumber(b)
	switch {
	case pa != pb && pa < pb:
		return -1
	case pa != pb:
		return 1
	case len(na) != len(nb):
		return len(na) - len(nb)
	case na < nb:
		return -1
	case na > nb:
		return 1
	}
	return 0
}

func splitNumber(s string) (prefix, digits string) {
	i := len(s)
	for i > 0 && s[i-1] >= '0' && s[i-1] <= '9' {
		i--
	}
	j := i
	for j < len(s)-1 && s[j] == '0' {
		j++
	}
	return s[:i], s[j:]
}
