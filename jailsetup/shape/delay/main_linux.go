package delay

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// controlFD is the control socket, from the supervisor.
const controlFD = 3

// Main is the delay node's process: descriptor 3 is the control socket. It
// ends when it is told to, or when there is nothing left to do.
func Main() error {
	// The main thread is the loop's: its priority and timers are set once.
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // the loop makes no garbage; control collects its own
	if os.Geteuid() != 0 {
		return errors.New("must be started as root, to give it away")
	}
	// A terminal's or a service manager's signal to the whole group is for the
	// supervisor: links outlive it.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	// What we inherited beside is nobody's business here. The runtime has opened
	// nothing that it needs again: the supervisor has told it not to.
	if err := unix.CloseRange(controlFD+1, math.MaxUint32, 0); err != nil {
		return fmt.Errorf("close inherited descriptors: %w", err)
	}
	var notes []string
	v, err := openVigil()
	if err != nil {
		notes = append(notes, "processors sleep between frames, delays will be less exact: "+err.Error())
	}
	note, err := Confine()
	if err != nil {
		return err
	}
	if note != "" {
		notes = append(notes, note)
	}
	n, err := newNode(controlFD, v, strings.Join(notes, "; "))
	if err != nil {
		return err
	}
	return n.run()
}
