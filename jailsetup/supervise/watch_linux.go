package supervise

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher tells the end of processes by their pidfds: one thread for all
// jails.
type watcher struct {
	epoll *os.File
	mu    sync.Mutex
	watch map[int32]watched // by descriptor
}

type watched struct {
	pidfd *os.File
	ended func(pidfd *os.File)
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll set: %w", err)
	}
	return &watcher{epoll: os.NewFile(uintptr(fd), "epoll"), watch: map[int32]watched{}}, nil
}

// add takes over pidfd and calls ended once, in a goroutine of its own, when
// the process has ended; then it closes pidfd.
func (w *watcher) add(pidfd *os.File, ended func(*os.File)) error {
	fd := int32(pidfd.Fd())
	w.mu.Lock()
	w.watch[fd] = watched{pidfd, ended}
	w.mu.Unlock()
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: fd}
	if err := unix.EpollCtl(int(w.epoll.Fd()), unix.EPOLL_CTL_ADD, int(fd), &event); err != nil {
		w.forget(fd)
		return errors.Join(fmt.Errorf("watch process: %w", err), pidfd.Close())
	}
	return nil
}

func (w *watcher) forget(fd int32) watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.watch[fd]
	delete(w.watch, fd)
	return one
}

// run waits until stop is readable.
func (w *watcher) run(stop *os.File, group *sync.WaitGroup) error {
	stopFD := int32(stop.Fd())
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: stopFD}
	if err := unix.EpollCtl(int(w.epoll.Fd()), unix.EPOLL_CTL_ADD, int(stopFD), &event); err != nil {
		return fmt.Errorf("watch for stop: %w", err)
	}
	events := make([]unix.EpollEvent, 32)
	for {
		n, err := unix.EpollWait(int(w.epoll.Fd()), events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for processes: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if e.Fd == stopFD {
				return nil
			}
			one := w.forget(e.Fd)
			if one.pidfd == nil {
				continue
			}
			group.Go(func() {
				one.ended(one.pidfd)
				one.pidfd.Close()
			})
		}
	}
}
