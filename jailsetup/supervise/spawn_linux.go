package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// Waiting for a supervisor to begin, and to end.
const (
	spawnTimeout = 20 * time.Second
	endTimeout   = 20 * time.Second
	lookInterval = 20 * time.Millisecond
	respawnPause = 100 * time.Millisecond
)

// Spawn starts a supervisor that outlives its caller and connects to it. What
// it logs goes to serve.log in the state directory; what it said before it gave
// up becomes the error. Of several that are started at once one serves them
// all; one that is about to leave is waited for.
func Spawn(ctx context.Context, site jail.Site) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, spawnTimeout)
	defer cancel()
	for {
		c, err := spawn(ctx, site)
		if !errors.Is(err, ErrServed) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(respawnPause):
		}
		if c, err := Dial(ctx, site); err == nil {
			return c, nil
		}
	}
}

func spawn(ctx context.Context, site jail.Site) (net.Conn, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(site.State, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(site.State, logName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	begin, err := log.Seek(0, 2)
	if err != nil {
		return nil, err
	}
	args := []string{"serve"}
	if site.File != "" {
		path, err := filepath.Abs(site.File)
		if err != nil {
			return nil, err
		}
		args = append(args, "--site", path)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the supervisor: %w", err)
	}
	ended := make(chan error, 1) // the goroutine outlives us, as the supervisor does: until we end it reaps
	go func() { ended <- cmd.Wait() }()
	return awaitServer(ctx, site, ended, func() string { return since(log, begin) })
}

func awaitServer(ctx context.Context, site jail.Site, ended <-chan error, said func() string) (net.Conn, error) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		if c, err := Dial(ctx, site); err == nil {
			return c, nil
		}
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == CodeServed {
				return nil, fmt.Errorf("start the supervisor: %w", ErrServed)
			}
			return nil, startFailure(err, said())
		case <-ctx.Done():
			return nil, fmt.Errorf("the supervisor doesn't begin to serve (see %s)", filepath.Join(site.State, logName))
		case <-tick.C:
		}
	}
}

// startFailure makes of a supervisor's last line the verb's error, with the
// same exit code; of one that was killed, that.
func startFailure(err error, said string) error {
	code := CodeFailed
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		code = exit.ExitCode()
	} else {
		said = fmt.Sprintf("it ended before it served: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := strings.TrimPrefix(lines[len(lines)-1], "jailsetup: ")
	return &Failure{Code: code, Text: "cannot start the supervisor: " + last}
}

const maxSaid = 16 << 10

func since(log *os.File, begin int64) string {
	buf := make([]byte, maxSaid)
	n, _ := log.ReadAt(buf, begin)
	return string(buf[:n])
}

// AwaitEnd waits until no supervisor has the site's lock.
func AwaitEnd(ctx context.Context, site jail.Site) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		free, err := lockIsFree(site)
		if free || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the supervisor doesn't end")
		case <-tick.C:
		}
	}
}

func lockIsFree(site jail.Site) (bool, error) {
	f, err := os.Open(filepath.Join(site.Run, "serve.lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// List reads every record.
func List(site jail.Site) ([]JailInfo, error) {
	names, err := site.List()
	if err != nil {
		return nil, err
	}
	jails := []JailInfo{}
	for _, name := range names {
		r, err := site.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // being made, or being removed
		}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%w (the file is not as we write it)", err)
		}
		if err != nil {
			return nil, err
		}
		jails = append(jails, JailInfo{r, r.Alive()})
	}
	return jails, nil
}
