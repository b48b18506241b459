package proxy

import (
	"encoding/json"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Outcomes of a request.
const (
	outcomeOK      = "ok"      // tmcd's whole answer went to the caller
	outcomeRefused = "refused" // tmcd didn't hear of it
	outcomeError   = "error"   // it went wrong on the way
)

// A Line is what the audit log says about one request. It never has bodies,
// arguments, or values of tags: those may be keys.
type Line struct {
	Time         time.Time `json:"time"`
	VNode        string    `json:"vnode"`
	Peer         Peer      `json:"peer"`
	Command      string    `json:"command"`            // canonical; empty if there was none
	Stripped     []string  `json:"stripped,omitempty"` // names of tags taken out, at most 8
	Outcome      string    `json:"outcome"`            // ok, refused, error
	Why          string    `json:"why,omitempty"`
	RequestBytes int64     `json:"request_bytes"` // as read from the caller
	ReplyBytes   int64     `json:"reply_bytes"`   // as written to the caller
	Millis       float64   `json:"ms"`            // accept to end
}

const (
	auditQueue    = 4096                  // lines waiting for the disk
	auditPause    = 20 * time.Millisecond // that lines wait for more to come
	auditBatch    = 64 << 10              // bytes written at once
	auditMaxBytes = 64 << 20              // of one file, if the supervisor says nothing
)

// An audit log takes lines without making anybody wait: a disk that is slow or
// full costs lines, which are counted, and no request.
type audit struct {
	lost atomic.Uint64
	full func() // called once a file that has reached its bound; must not wait

	queue   sync.Mutex
	lines   []Line
	pending bool // flush will run, or runs
	timer   *time.Timer
	flushed *sync.Cond // of queue: pending has become false

	mu      sync.Mutex
	out     io.Writer
	written int64
	max     int64
	told    bool
}

// startAudit makes a log; stop ends it.
func startAudit(out io.Writer, full func()) *audit {
	a := &audit{full: full, out: out, max: auditMaxBytes}
	a.flushed = sync.NewCond(&a.queue)
	a.timer = time.AfterFunc(time.Hour, a.flush)
	a.timer.Stop()
	return a
}

// stop writes what waits. Nothing may be added afterwards.
func (a *audit) stop() error {
	a.queue.Lock()
	if a.pending && a.timer.Stop() {
		a.queue.Unlock()
		a.flush()
		a.queue.Lock()
	}
	for a.pending {
		a.flushed.Wait()
	}
	a.queue.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	return closeFile(a.out)
}

// use replaces the file. What was being written goes to the old one.
func (a *audit) use(f *os.File, maxBytes int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.out
	a.out, a.written, a.max, a.told = f, 0, or(maxBytes, auditMaxBytes), false
	return closeFile(old)
}

// add queues a line. It wakes nobody: a writer that is woken for each line costs
// a request more than all the rest of its line.
func (a *audit) add(l Line) {
	a.queue.Lock()
	defer a.queue.Unlock()
	if len(a.lines) == auditQueue {
		a.lost.Add(1)
		return
	}
	a.lines = append(a.lines, l)
	if !a.pending {
		a.pending = true
		a.timer.Reset(auditPause)
	}
}

// flush writes all that waits, in batches.
func (a *audit) flush() {
	var buf []byte
	for {
		a.queue.Lock()
		lines := a.lines
		a.lines = nil
		if len(lines) == 0 {
			a.pending = false
			a.flushed.Broadcast()
			a.queue.Unlock()
			return
		}
		a.queue.Unlock()
		for len(lines) > 0 {
			count := 0
			for buf = buf[:0]; count < len(lines) && len(buf) < auditBatch; count++ {
				buf = appendLine(buf, lines[count])
			}
			lines = lines[count:]
			if !a.put(buf) {
				a.lost.Add(uint64(count))
			}
		}
	}
}

func appendLine(buf []byte, l Line) []byte {
	text, err := json.Marshal(l)
	if err != nil { // times after the year 9999
		return buf
	}
	return append(append(buf, text...), '\n')
}

// put writes whole lines or, as far as it can tell, nothing.
func (a *audit) put(buf []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		return true
	}
	if a.written+int64(len(buf)) > a.max {
		if !a.told {
			a.told = true
			a.full()
		}
		return false
	}
	n, err := a.out.Write(buf)
	a.written += int64(n)
	if err != nil && n > 0 {
		// A part of a line: end it, so that the next one stands by itself.
		m, _ := a.out.Write([]byte{'\n'})
		a.written += int64(m)
	}
	return err == nil
}

// closeFile closes a log that this process opened or was handed.
func closeFile(w io.Writer) error {
	f, ok := w.(*os.File)
	if !ok || f == os.Stderr || f == os.Stdout {
		return nil
	}
	return f.Close()
}
