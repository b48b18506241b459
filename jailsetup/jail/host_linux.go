package jail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/removal"
	"emujail/jailsetup/wholefile"
)

// NewHost looks at the host and makes ready what all jails share. Its Tmcd is
// for the caller to set.
func NewHost(site Site, hands Hands, log *slog.Logger) (*Host, error) {
	control, err := site.Network()
	if err != nil {
		return nil, err
	}
	hierarchies, err := limit.Discover()
	if err != nil {
		return nil, err
	}
	programs, err := site.installPrograms()
	if err != nil {
		return nil, fmt.Errorf("install the programs that jails see: %w", err)
	}
	return &Host{
		Site: site, Network: control, Hierarchies: hierarchies, Hands: hands,
		Programs: programs, Log: log, reserve: make(chan struct{}, 1),
	}, nil
}

// shownPrograms are what a jail sees in /run/emulab/bin.
var shownPrograms = [...]string{"injail", "injail-rc", "tmcc"}

// installPrograms copies the jails' programs to a directory named by their
// content, where no build replaces them under a running jail. They are on the disk
// before that directory has its name, which every later boot trusts: after a power
// cut it has them whole or isn't there.
func (s Site) installPrograms() (string, error) {
	h := sha256.New()
	for _, name := range shownPrograms {
		f, err := os.Open(filepath.Join(s.Programs, name))
		if err != nil {
			return "", fmt.Errorf("%w (programs: in the site file names the directory of %v)", err, shownPrograms)
		}
		_, err = io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(s.spawner()); err != nil {
		return "", fmt.Errorf("%w (programs: in the site file names its directory)", err)
	}
	dir := filepath.Join(s.ProgramsDir(), hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temp := dir + ".new"
	if err := removal.Tree(temp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return "", err
	}
	for _, name := range shownPrograms {
		if err := copyProgram(filepath.Join(s.Programs, name), filepath.Join(temp, name)); err != nil {
			return "", err
		}
	}
	if err := errors.Join(os.Chmod(temp, 0o755), wholefile.SyncDir(temp)); err != nil {
		return "", err
	}
	return dir, os.Rename(temp, dir)
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(0o755), f.Sync(), f.Close())
}

// io is what the site allows of the disk that jails' disks lie on.
func (s Site) io() (limit.IO, error) {
	o := limit.IO{Weight: s.Limits.IOWeight, Read: int64(s.Limits.IOReadMiB) << 20, Write: int64(s.Limits.IOWriteMiB) << 20}
	if !o.Wanted() {
		return o, nil
	}
	var err error
	if o.Device, err = limit.DiskOf(s.State); err != nil {
		return o, fmt.Errorf("limits.io_…: %w", err)
	}
	return o, nil
}

// Alive tells whether the record's first process runs.
func (r Record) Alive() bool {
	pidfd, err := r.pin()
	if err != nil {
		return false
	}
	pidfd.Close()
	return true
}

// Pin opens a pidfd of the record's first process; os.ErrProcessDone says that
// it has ended.
func (r Record) Pin() (*os.File, error) { return r.pin() }

// SameProcess tells whether both are of the same first process. The number of a
// boot doesn't say so: a jail that was killed begins at 1 again.
func (r Record) SameProcess(other Record) bool {
	return r.PID == other.PID && r.StartTime == other.StartTime && r.BootID == other.BootID
}
