package permit

import (
	"cmp"
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
// already, or that this process may not change, is left alone. Killed in that
// instant, it leaves it on: interrupts then come a little oftener, no more.
//
// The zero value is ready; one serves a whole process.
type Grace struct {
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
		was, err := os.ReadFile(g.path())
		g.ours = err == nil && strings.TrimSpace(string(was)) == "0" && g.set("1") == nil
	}
	return g.done
}

func (g *Grace) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.ours {
		_ = g.set("0") // it could be set a moment ago
		g.ours = false
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
