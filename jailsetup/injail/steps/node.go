package steps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emujail/jailsetup/wholefile"
	"emujail/protocol"
	"emujail/tmcc/cache"
	"emujail/tmcc/client"
)

// Directories of jail.md §1.2.
const (
	bootDir  = "/var/emulab/boot"
	dbDir    = "/var/emulab/db"
	logDir   = "/var/emulab/logs"
	lockDir  = "/var/emulab/lock"
	hostDir  = "/run/emulab" // the host's, read-only
	localLog = "/local/logs"
)

// Node is the jail that is configured.
type Node struct {
	Root   string // "/", or a directory that stands for it
	VNode  string // the node's id
	Conf   Conf
	Client *client.Client
	Cache  cache.Cache
	Out    io.Writer     // progress, a line at a time
	Injail []string      // the command that starts an agent: path of injail, then arguments
	Pause  time.Duration // before a question is asked again; doubles. 0: half a second
	// Reboot makes the jail boot again, by its first process; nil: it can't.
	Reboot func() error

	again    bool          // configured anew, not booting
	patience time.Duration // with an update that is under way
}

// Open finds out about the jail below root: who it is from jail.conf, else
// from vnode; whom to ask from the file proxypath.
func Open(root, vnode string, out io.Writer) (*Node, error) {
	n := &Node{Root: root, Out: out, patience: updateWait}
	conf, err := readConf(n.path(hostDir + "/jail.conf"))
	if err != nil {
		return nil, err
	}
	n.Conf = conf
	n.VNode = conf.VNodeID
	if n.VNode == "" {
		n.VNode = vnode
	}
	if n.VNode == "" {
		return nil, errors.New("no VNODEID in jail.conf and no TMCCVNODEID in the environment: not a jail?")
	}
	socket, err := cache.ProxyPath(n.path(bootDir))
	if err != nil {
		return nil, err
	}
	if socket == "" {
		socket = hostDir + "/tmcc"
	}
	if n.Cache, err = cache.Open(n.path(bootDir), ""); err != nil {
		return nil, err
	}
	n.Client, err = client.New(client.Options{
		Network: client.Unix, UnixPath: n.path(socket), Timeout: askTimeout,
		Identity: protocol.Request{Version: protocol.Version},
	})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n.Injail = []string{self}
	return n, nil
}

// path puts a path of the jail below its root.
func (n *Node) path(p string) string { return filepath.Join(n.Root, p) }

// Times of questions to tmcd.
const (
	askTimeout = 30 * time.Second // without a byte
	askTries   = 5
	firstPause = 500 * time.Millisecond
)

// ask puts a question to tmcd, more than once if need be: every question of
// the steps may be asked twice without harm, even if tmcd saw the first.
func (n *Node) ask(ctx context.Context, words ...string) ([]byte, error) {
	var reply []byte
	err := n.insist(ctx, func() (err error) {
		reply, err = n.Client.Ask(ctx, words[0], words[1:]...)
		return err
	})
	return reply, err
}

// insist repeats f with growing pauses.
func (n *Node) insist(ctx context.Context, f func() error) error {
	pause := n.Pause
	if pause == 0 {
		pause = firstPause
	}
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if try == askTries || ctx.Err() != nil {
			return fmt.Errorf("asked %d times: %w", try, err)
		}
		fmt.Fprintf(n.Out, "%s: tmcd: %v; again in %v\n", n.now().Format(clock), err, pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// cached returns a block of the fullconfig.
func (n *Node) cached(command string) ([]byte, error) {
	b, _, err := n.Cache.Read(command)
	return b, err
}

// put makes a file say data with that mode, by a new one renamed over it, and
// says whether that was a change. It's synced only where durable says so.
func (n *Node) put(path string, data []byte, mode fs.FileMode, durable bool) (changed bool, err error) {
	file := n.path(path)
	if st, err := os.Lstat(file); err == nil && st.Mode() == mode {
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
			return false, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return false, errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	if durable {
		return true, wholefile.SyncDir(filepath.Dir(file))
	}
	return true, nil
}

// remove deletes files that may be absent.
func (n *Node) remove(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := os.Remove(n.path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Conf is what the host says about the jail: /run/emulab/jail.conf.
type Conf struct {
	VNodeID, HostName, Domain string
	PID, EID, NickName        string // project, experiment, the node's name in it
	JailIP                    string
	CtrlIf                    string // the interface of the control network
	WebServer                 string // host[:port] or URL; for software
	NotProvided               string // what the host lacks of what boss asked for
	Aliases                   string // "asked": the interfaces have all addresses that tmcd knew of
}

// readConf reads jail.conf: lines KEY="value". Other keys are for others. No
// file is no error.
func readConf(path string) (Conf, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Conf{}, nil
	}
	if err != nil {
		return Conf{}, err
	}
	var c Conf
	fields := map[string]*string{"VNODEID": &c.VNodeID, "HOSTNAME": &c.HostName, "DOMAIN": &c.Domain, "PID": &c.PID,
		"EID": &c.EID, "NICKNAME": &c.NickName, "JAILIP": &c.JailIP, "WEBSERVER": &c.WebServer, "CTRLIF": &c.CtrlIf, "NOTPROVIDED": &c.NotProvided, "ALIASES": &c.Aliases}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if to := fields[key]; ok && to != nil {
			*to = strings.Trim(value, `"'`)
		}
	}
	return c, nil
}
