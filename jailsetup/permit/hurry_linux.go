package permit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// expeditedFile tells the kernel to end grace periods by interrupts instead of
// waiting for them to end.
const expeditedFile = "/sys/kernel/rcu_expedited"

// Grace hurries the kernel's grace periods while somebody needs it. Attaching a
// program to a link waits for one, 7 to 13 ms in which no other link on the host
// can be changed; hurried, it takes a tenth of a millisecond. The setting is the
// host's: it is on for as long as a few attachments take, and one that is on
// already, or that this process may not change, is left alone. A file says that
// it is we who have turned it on: if we are killed in that instant, the next
// process turns it off ([Grace.Recover]).
//
// The zero value is ready; one serves a whole process.
type Grace struct {
	// Marker is the path of that file; without one nothing is hurried.
	Marker string

	file string // empty: expeditedFile

	mu   sync.Mutex
	n    int  // who needs it
	ours bool // it is on, and was off before
}

// Hurry turns it on until done is called.
func (g *Grace) Hurry() (done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n++; g.n == 1 {
		g.ours = g.turnOn()
	}
	return g.done
}

// turnOn tells whether it was we who turned it on.
func (g *Grace) turnOn() bool {
	was, err := os.ReadFile(g.path())
	if g.Marker == "" || err != nil || strings.TrimSpace(string(was)) != "0" {
		return false
	}
	if err := os.WriteFile(g.Marker, nil, 0o600); err != nil {
		return false // a full disk, a missing directory: then it is slow
	}
	if g.set("1") != nil {
		_ = os.Remove(g.Marker)
		return false
	}
	return true
}

// Recover turns off what a process that was killed has left on. It is called
// before the first Hurry.
func (g *Grace) Recover() error {
	_, err := os.Stat(g.Marker)
	if g.Marker == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(err, g.set("0")); err != nil {
		return fmt.Errorf("turn off hurried grace periods: %w", err)
	}
	return os.Remove(g.Marker)
}

func (g *Grace) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.ours {
		g.ours = false
		if g.set("0") == nil { // else the marker is for the next process
			_ = os.Remove(g.Marker)
		}
	}
}

func (g *Grace) path() string { return cmp.Or(g.file, expeditedFile) }

func (g *Grace) set(value string) error {
	f, err := os.OpenFile(g.path(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
