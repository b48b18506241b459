package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds one netlink exchange. Deleting a veth takes 35 ms with
// a lock of the whole namespace held, so a hundred in a row must fit.
const netlinkTimeout = 20 * time.Second

// pinDir is where namespaces are pinned.
func pinDir(runDir string) string { return filepath.Join(runDir, "netns") }

// In runs f on a thread of its own that is in the network namespace:
// sockets that f opens belong to it, and /proc/sys/net is its. If the thread
// can't be taken back, it stays locked and dies with its goroutine rather than
// serve others from the wrong namespace.
func In(ns *os.File, f func() error) error {
	if ns == nil {
		return errors.New("enter network namespace: none given")
	}
	defer runtime.KeepAlive(ns)
	return elsewhere(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", ns.Name(), err)
		}
		return nil
	}, f)
}

// InNew runs f, as [In] does, in a network namespace that is made for
// it, and that goes with it unless f keeps it.
func InNew(f func() error) error {
	return elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		return nil
	}, f)
}

// elsewhere runs f on a thread of its own that enter has taken to another
// network namespace, and brings the thread back.
func elsewhere(enter, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open own network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// newRouteHandle is a handle on the network namespace of the calling thread.
func newRouteHandle() (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route socket: %w", err)
	}
	if err := h.SetSocketTimeout(netlinkTimeout); err != nil {
		h.Close()
		return nil, fmt.Errorf("bound route socket: %w", err)
	}
	return h, nil
}

// withRoutes runs f with a handle, in the namespace.
func withRoutes(ns *os.File, f func(h *netlink.Handle) error) error {
	return In(ns, func() error {
		h, err := newRouteHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		return f(h)
	})
}

// openPin opens a pinned namespace. A file without a namespace on it, which a
// crash can leave, is fs.ErrNotExist like no file at all.
func openPin(runDir, name string) (*os.File, error) {
	path := filepath.Join(pinDir(runDir), name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	is, err := isNamespace(f)
	if err == nil && !is {
		err = &fs.PathError{Op: "open namespace", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isNamespace(f *os.File) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false, &fs.PathError{Op: "fstatfs", Path: f.Name(), Err: err}
	}
	return st.Type == unix.NSFS_MAGIC, nil
}

// ensurePin opens the pinned namespace, and makes it first if it isn't there;
// made says so. The caller holds the lock.
func ensurePin(runDir, name string) (f *os.File, made bool, err error) {
	if f, err = openPin(runDir, name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	if err := ensurePinDir(runDir); err != nil {
		return nil, false, err
	}
	path := filepath.Join(pinDir(runDir), name)
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o400)
	if err != nil {
		return nil, false, err
	}
	if err := file.Close(); err != nil {
		return nil, false, err
	}
	if err := bindNewNamespace(path); err != nil {
		return nil, false, errors.Join(err, os.Remove(path))
	}
	f, err = openPin(runDir, name)
	return f, true, err
}

// bindNewNamespace makes a network namespace on a thread of its own and mounts
// it on path, which keeps it alive without a process.
func bindNewNamespace(path string) error {
	return InNew(func() error {
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin network namespace on %s: %w", path, err)
		}
		return nil
	})
}

// ensurePinDir makes the directory of pins a private mount: pins then reach no
// other mount namespace that exists, where they would keep a namespace alive.
func ensurePinDir(runDir string) error {
	dir := pinDir(runDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	mounted, err := isMountPoint(dir)
	if err != nil {
		return err
	}
	if !mounted {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on itself: %w", dir, err)
		}
	}
	// Each time: whoever mounted it may have been killed before it came to this.
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mount %s private: %w", dir, err)
	}
	return nil
}

func isMountPoint(dir string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st)
	if err != nil {
		return false, &fs.PathError{Op: "statx", Path: dir, Err: err}
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// removePin takes the pin away; with the last user of the namespace the kernel
// removes what is left in it. Removing the file also ends copies of the mount
// that other mount namespaces were born with.
func removePin(runDir, name string) error {
	path := filepath.Join(pinDir(runDir), name)
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return removePinDir(runDir)
}

// removePinDir takes the directory of pins away if it has none left.
func removePinDir(runDir string) error {
	dir := pinDir(runDir)
	left, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(left) > 0 {
		return err
	}
	if mounted, err := isMountPoint(dir); err != nil || !mounted {
		return errors.Join(err, os.Remove(dir))
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return os.Remove(dir)
}

// lockTimeout is how long those may take who are making or removing something.
// Each takes a fraction of a second.
const lockTimeout = time.Minute

// lock keeps every other process, and goroutine, from making or removing
// namespaces and links below runDir until unlock is called. The kernel frees it
// when the process dies.
func lock(ctx context.Context, runDir string) (unlock func(), err error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(runDir, "network.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout,
		fmt.Errorf("others had it for %s (lslocks says who; end one that hangs, and the lock is free)", lockTimeout))
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// poll asks until it is told yes, each millisecond, at most until ctx ends.
func poll(ctx context.Context, ask func() (bool, error)) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
