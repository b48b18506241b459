package jail

import "os"

// A Process names a process for good: a number alone is given to others again.
type Process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"` // clock ticks after the host's boot
	BootID    string `json:"boot_id"`    // of the host's kernel
}

// Pin opens a pidfd of the process; os.ErrProcessDone says that it has ended.
func (p Process) Pin() (*os.File, error) {
	return Record{PID: p.PID, StartTime: p.StartTime, BootID: p.BootID}.pin()
}
