package progagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// maxOutput is how much of each output of a run is kept, in bytes. What comes
// later is read and dropped, so that the program goes on.
const maxOutput = 16 << 20

// drainWait is how long after a program's end its outcome waits for the rest of
// its output: a process that it left behind may hold the pipe open for ever.
const drainWait = time.Second

// keeper copies one output of a program to its file.
type keeper struct {
	pipe *os.File
	wait time.Duration // of Close
	done chan struct{}
	mu   sync.Mutex
	err  error
}

// keep opens the file anew and returns what the program writes to. The set's
// lock is held.
func (s *Set) keep(path string) (*os.File, io.Closer, error) {
	f, err := createLog(path)
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	k := &keeper{pipe: r, wait: s.drain, done: make(chan struct{})}
	s.keepers[k] = true
	s.work.Go(func() {
		k.copy(f)
		s.mu.Lock()
		delete(s.keepers, k)
		s.mu.Unlock()
	})
	return w, k, nil
}

// createLog replaces what is there. Users can write in the directory: the old
// name goes, whatever it is, and the new file is made exclusively.
func createLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o644)
}

func (k *keeper) copy(f *os.File) {
	defer close(k.done)
	_, err := io.CopyN(f, k.pipe, maxOutput)
	if err == nil {
		_, err = fmt.Fprintf(f, "\n[the rest is not kept: more than %d bytes]\n", maxOutput)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	// Also after a full disk: a pipe that nobody reads would stop the program.
	_, _ = io.Copy(io.Discard, k.pipe)
	k.mu.Lock()
	k.err = errors.Join(err, f.Close(), k.pipe.Close())
	k.mu.Unlock()
}

// Close waits for the end of the output, not for ever: what a process that was
// left behind still writes is kept as it comes.
func (k *keeper) Close() error {
	select {
	case <-k.done:
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.err
	case <-time.After(k.wait):
		return nil
	}
}

// cutOff ends the copying although somebody holds the pipe.
func (k *keeper) cutOff() { _ = k.pipe.SetReadDeadline(time.Unix(1, 0)) }

// writeStatus leaves the outcome beside the outputs.
func (s *Set) writeStatus(o Outcome) (err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := createLog(filepath.Join(s.opt.LogDir, o.Name+".status"))
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
