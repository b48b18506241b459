package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/wholefile"
)

// record is what of an experiment outlives the supervisor.
type record struct {
	Experiment string              `json:"experiment"`
	Key        string              `json:"key,omitempty"`
	Groups     map[string][]string `json:"groups,omitempty"`
	Schedule   []Item              `json:"schedule,omitempty"`
	Next       int                 `json:"next,omitempty"`       // of Schedule: the first not sent
	BootID     string              `json:"boot_id,omitempty"`    // of the kernel by whose clock it started
	StartedNS  int64               `json:"started_ns,omitempty"` // of that kernel's CLOCK_BOOTTIME
}

// redialTime is how long agents may take to find a new hub.
const redialTime = 2 * time.Second

const suffix = ".json"

func (h *Hub) path(name string) string { return filepath.Join(h.dir, url.PathEscape(name)+suffix) }

// save writes the experiment's file, whole. The lock is held. Not synced: after
// a power cut no jail runs.
func (h *Hub) save(x *experiment) error {
	x.BootID, x.StartedNS = "", 0
	if !x.started.IsZero() {
		id, now, err := bootClock()
		if err != nil {
			return err
		}
		x.BootID, x.StartedNS = id, int64(now-time.Since(x.started))
	}
	data, err := json.Marshal(x.record)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	return wholefile.Write(h.path(x.Experiment), append(data, '\n'), 0o600)
}

func (h *Hub) remove(name string) error {
	err := os.Remove(h.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load takes over what an earlier hub has left. One file that can't be read
// costs that experiment its schedule, and says so.
func (h *Hub) load() error {
	entries, err := os.ReadDir(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	id, now, err := bootClock()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		r, err := readRecord(filepath.Join(h.dir, e.Name()))
		if err != nil {
			h.log.Error("schedule of an experiment is lost", "error", err)
			continue
		}
		x := h.take(r.Experiment)
		x.record = r
		if r.BootID == id { // else its jails have ended with the host
			x.started = time.Now().Add(-(now - time.Duration(r.StartedNS)))
			x.notBefore = time.Now().Add(redialTime)
		}
	}
	return nil
}

func readRecord(path string) (record, error) {
	var r record
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if err := CheckExperiment(r.Experiment); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if err := (Schedule{r.Groups, r.Schedule}).check(); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	r.Next = max(0, min(r.Next, len(r.Schedule)))
	return r, nil
}

// bootClock names this boot of the kernel and reads its clock that never jumps.
func bootClock() (id string, now time.Duration, err error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0, err
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return "", 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", err)
	}
	return strings.TrimSpace(string(data)), time.Duration(ts.Nano()), nil
}
