package limit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// IO bounds what a jail reads from and writes to the device that its disk lies
// on, and says who goes first when there isn't enough. The zero value is no
// limit.
//
// The kernel charges a jail for what reaches the device: reads that the page
// cache doesn't answer, and writes that are synced or written back for it. In v1
// it doesn't know for whom it writes back: there a bound on writing holds for
// synced writes only.
type IO struct {
	Device string // MAJOR:MINOR of the disk
	Weight int    // 1 to 1000, 100 is an equal share; 0: the kernel's default
	Read   int64  // bytes a second; 0: no limit
	Write  int64  // bytes a second; 0: no limit
}

// Wanted tells whether there is anything to limit.
func (o IO) Wanted() bool { return o.Weight > 0 || o.Read > 0 || o.Write > 0 }

// The io controller's name, and what v1 calls it.
const (
	ioController   = "io"
	ioControllerV1 = "blkio"
)

// weightFiles are those for a weight, of whichever scheduler is there.
func weightFiles(v1 bool) []string {
	if v1 {
		return []string{"blkio.bfq.weight", "blkio.weight"}
	}
	return []string{"io.bfq.weight", "io.weight"}
}

// ioWrites is what is written where for the limits; each of the files of a
// write is one way to do it.
func (c Cgroup) ioWrites() []ioWrite {
	_, v1 := c.V1[ioController]
	var list []ioWrite
	if c.IO.Weight > 0 {
		list = append(list, ioWrite{"io_weight", weightFiles(v1), fmt.Sprint(c.IO.Weight), "another scheduler of that disk: bfq"})
	}
	if v1 {
		for _, w := range [...]struct {
			key, file string
			rate      int64
		}{{"io_read_mib", "blkio.throttle.read_bps_device", c.IO.Read}, {"io_write_mib", "blkio.throttle.write_bps_device", c.IO.Write}} {
			if w.rate > 0 {
				list = append(list, ioWrite{w.key, []string{w.file}, fmt.Sprintf("%s %d", c.IO.Device, w.rate), throttling})
			}
		}
		return list
	}
	if c.IO.Read > 0 || c.IO.Write > 0 {
		list = append(list, ioWrite{"io_read_mib", []string{"io.max"}, fmt.Sprintf("%s rbps=%s wbps=%s", c.IO.Device, rate(c.IO.Read), rate(c.IO.Write)), throttling})
	}
	return list
}

const throttling = "a kernel with BLK_DEV_THROTTLING"

func rate(n int64) string {
	if n == 0 {
		return "max"
	}
	return fmt.Sprint(n)
}

type ioWrite struct {
	key   string   // of the site file, below limits
	files []string // the first that is there
	value string
	need  string // what a kernel without needs
}

// limitIO writes the limits. What this kernel can't do is an error: the
// operator has asked for it.
func (c Cgroup) limitIO() error {
	dir := c.dir(ioController, c.VNode)
	for _, w := range c.ioWrites() {
		err := error(fs.ErrNotExist)
		for _, file := range w.files {
			if err = writeThere(filepath.Join(dir, file), w.value); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("limits.%s: this kernel has no %s here (it takes %s; without, leave the limit out)", w.key, strings.Join(w.files, " or "), w.need)
		}
		if err != nil {
			return fmt.Errorf("limits.%s: write %q: %w", w.key, w.value, err)
		}
	}
	return nil
}

// writeThere writes to a file that is there.
func writeThere(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// DiskOf is the whole disk, as MAJOR:MINOR, that the path's file system lies on.
func DiskOf(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	device := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	sys := "/sys/dev/block/" + device
	if _, err := os.Stat(sys); err != nil {
		return "", fmt.Errorf("%s lies on no disk of its own (device %s)", path, device)
	}
	if _, err := os.Stat(sys + "/partition"); err != nil {
		return device, nil
	}
	whole, err := os.ReadFile(sys + "/../dev")
	return strings.TrimSpace(string(whole)), err
}
