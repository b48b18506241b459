package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"emujail/proxy/control"
)

// An auditLog is the file of the proxy's lines: PATH, and the older ones PATH.1,
// PATH.2 … It is bounded: files of at most maxBytes.
type auditLog struct {
	path     string
	maxBytes int64
	files    int

	mu sync.Mutex
}

// open opens the newest file for appending and says how much more fits. With
// renew, or when nothing more fits, it begins a new one.
func (a *auditLog) open(renew bool) (f *os.File, room int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		f, err = os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		if room = a.maxBytes - info.Size(); room > 0 && (!renew || info.Size() == 0) {
			return f, room, nil
		}
		if err := errors.Join(f.Close(), a.shift()); err != nil {
			return nil, 0, err
		}
		renew = false
	}
}

// shift gives every file the next number; the oldest goes.
func (a *auditLog) shift() error {
	name := func(n int) string {
		if n == 0 {
			return a.path
		}
		return fmt.Sprintf("%s.%d", a.path, n)
	}
	if a.files == 1 {
		return os.Remove(a.path)
	}
	for n := a.files - 1; n > 0; n-- {
		if err := os.Rename(name(n-1), name(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// giveAudit hands the audit log to the proxy.
func (k *proxyKeeper) giveAudit(t *talk, renew bool) error {
	f, room, err := k.audit.open(renew)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return errors.Join(t.ask(control.Message{Op: control.OpAudit, MaxBytes: room}, f), f.Close())
}

// auditFull wakes whoever minds the log; it doesn't wait.
func (k *proxyKeeper) auditFull() {
	select {
	case k.full <- struct{}{}:
	default:
	}
}
