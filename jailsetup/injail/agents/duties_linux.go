package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/steps/passwd"
	"emujail/jailsetup/injail/watchdog"
)

// update brings the node up to date in all that has changed, not in its
// accounts alone as the original: `injail update`, a program of its own, since it
// links what this process has no use for the rest of its life.
func (a *agents) update(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, updateTimeout, fmt.Errorf("not done after %s", updateTimeout))
	defer cancel()
	return carryOut(ctx, self, "update", "-i", "-a", "-root", a.paths.Root)
}

// Bounds of a program that we run. An update may fetch and install software, and
// the watchdog does nothing else meanwhile.
const (
	updateTimeout = 30 * time.Minute
	afterKill     = time.Second // for those that have its output
	maxLastWords  = 4 << 10
)

// carryOut runs a program to its end. When ctx ends it is killed: what it has begun
// the next run makes good, and who ends the agents may hold what it waits for. An
// error has its last line.
func carryOut(ctx context.Context, program string, args ...string) error {
	var out lastWords
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = afterKill
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%w: %s", err, lastLine(string(out.text)))
}

// lastWords keeps the end of what is written to it.
type lastWords struct{ text []byte }

func (l *lastWords) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	if surplus := len(l.text) - maxLastWords; surplus > 0 {
		l.text = l.text[:copy(l.text, l.text[surplus:])]
	}
	return len(p), nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// usage reads the loads and how full the root file system is.
func (a *agents) usage() (watchdog.Usage, error) {
	var u watchdog.Usage
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return u, err
	}
	if _, err := fmt.Sscan(string(text), &u.Load1, &u.Load5, &u.Load15); err != nil {
		return u, fmt.Errorf("/proc/loadavg: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(a.paths.Root, &st); err != nil {
		return u, &os.PathError{Op: "statfs", Path: a.paths.Root, Err: err}
	}
	if all := st.Blocks - st.Bfree + st.Bavail; all > 0 { // as df(1) counts
		u.DiskPercent = 100 * float64(st.Blocks-st.Bfree) / float64(all)
	}
	return u, nil
}

// hostKeys makes the words of `hostkeys` from sshd's public keys.
func (a *agents) hostKeys() ([]string, error) {
	var words []string
	for _, k := range []struct{ word, file string }{
		{"SSH_HOST_RSA_KEY", "ssh_host_rsa_key.pub"}, {"SSH_HOST_DSA_KEY", "ssh_host_dsa_key.pub"},
	} {
		text, err := os.ReadFile(filepath.Join(a.paths.Root, "/etc/ssh", k.file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		key := strings.TrimSpace(string(text))
		if strings.ContainsAny(key, "'\n") {
			return nil, fmt.Errorf("%s: not a public key", k.file)
		}
		words = append(words, k.word+"='"+key+"'")
	}
	return words, nil
}

// RootRecord is there while root has the node's own password, by ROOTHASH of
// jailconfig; package steps keeps it. That password comes before the host's.
const RootRecord = "/var/emulab/db/roothash"

// setRootHash gives root the password that tmcd keeps for it.
func (a *agents) setRootHash(ctx context.Context, hash string) (err error) {
	if _, err := os.Lstat(filepath.Join(a.paths.Root, RootRecord)); err == nil {
		return nil
	}
	if !passwd.ValidField(hash) {
		return errors.New("the hash holds a colon or a control character")
	}
	db, err := passwd.Open(ctx, filepath.Join(a.paths.Root, "/etc"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	root, ok := db.User("root")
	if !ok {
		return errors.New("no user root")
	}
	db.SetUser(root, hash)
	_, err = db.Save()
	return err
}
