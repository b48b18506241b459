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
	auditQueue    = 4096     // lines waiting for the disk
	auditBatch    = 64 << 10 // bytes written at once
	auditMaxBytes = 64 << 20 // of one file, if the supervisor says nothing
)

// An audit log takes lines without making anybody wait: a disk that is slow or
// full costs lines, which are counted, and no request.
type audit struct {
	lines chan Line
	lost  atomic.Uint64
	full  func() // called once a file that has reached its bound; must not wait

	mu      sync.Mutex
	out     io.Writer
	written int64
	max     int64
	told    bool

	done chan struct{}
}

// startAudit starts the writer; stop ends it.
func startAudit(out io.Writer, full func()) *audit {
	a := &audit{lines: make(chan Line, auditQueue), full: full, out: out, max: auditMaxBytes, done: make(chan struct{})}
	go a.write()
	return a
}

// stop writes what waits and ends the writer. Nothing may be added afterwards.
func (a *audit) stop() error {
	close(a.lines)
	<-a.done
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

// add queues a line.
func (a *audit) add(l Line) {
	select {
	case a.lines <- l:
	default:
		a.lost.Add(1)
	}
}

// write takes lines as they come and writes together what waits.
func (a *audit) write() {
	defer close(a.done)
	var buf []byte
	for line := range a.lines {
		buf, count := appendLine(buf[:0], line), uint64(1)
		for len(buf) < auditBatch {
			next, ok := a.poll()
			if !ok {
				break
			}
			buf, count = appendLine(buf, next), count+1
		}
		if !a.put(buf) {
			a.lost.Add(count)
		}
	}
}

func (a *audit) poll() (Line, bool) {
	select {
	case l, ok := <-a.lines:
		return l, ok
	default:
		return Line{}, false
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
