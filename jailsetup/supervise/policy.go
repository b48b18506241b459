package supervise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"emujail/protocol"
	"emujail/proxy"
	"emujail/proxy/control"
)

// maxPolicy bounds a policy file: every command of the table, with comments.
const maxPolicy = 16 << 10

// A policyFile is one vnode's exceptions from the proxy's table, as they count
// now.
type policyFile struct {
	path string

	mu    sync.Mutex
	seen  stamp // of the file when it was last looked at
	lines []string
}

// A stamp tells a file from what it was before; zero: there is none.
type stamp struct {
	changed time.Time
	size    int64
	inode   uint64
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{changed: info.ModTime(), size: info.Size()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

// renew reads the file if it has changed. With an error the rules stay as they
// were.
func (p *policyFile) renew() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now stamp
	if info, err := os.Lstat(p.path); err == nil {
		now = stampOf(info)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now == p.seen {
		return nil
	}
	p.seen = now
	lines, err := readPolicy(p.path)
	if err != nil {
		return err
	}
	p.lines = lines
	return nil
}

func (p *policyFile) rules() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines
}

// denyAll replaces rules that can't be read: what the operator denied is not to
// be allowed by accident.
func (p *policyFile) denyAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = nil
	for _, c := range protocol.Commands() {
		p.lines = append(p.lines, "deny "+c.Name)
	}
}

// readPolicy reads the rules of a file, none if it isn't there.
func readPolicy(path string) ([]string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPolicy {
		return nil, fmt.Errorf("policy %s: more than %d bytes", path, maxPolicy)
	}
	lines := strings.Split(string(data), "\n")
	if _, err := proxy.ParseRules(lines); err != nil { // numbers them as the file does
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	return slices.DeleteFunc(lines, func(line string) bool {
		line = strings.TrimSpace(line)
		return line == "" || strings.HasPrefix(line, "#")
	}), nil
}

// renewPolicies looks at every vnode's file and tells the proxy what it hasn't
// been told.
func (k *proxyKeeper) renewPolicies() {
	for _, d := range k.doors() {
		if err := errors.Join(d.policy.renew(), k.givePolicy(d)); err != nil {
			k.log.Error("policy stays as it was", "vnode", d.vnode, "error", err)
		}
	}
}

// givePolicy tells the proxy that is up, if it has the vnode and other rules; the
// next one is told at its start.
func (k *proxyKeeper) givePolicy(d *door) error {
	t := k.current()
	if t == nil {
		return nil
	}
	rules := d.rules()
	if told, has := t.rules(d.vnode); !has || slices.Equal(told, rules) {
		return nil
	}
	k.log.Info("policy changed", "vnode", d.vnode, "rules", len(rules))
	err := t.ask(control.Message{Op: control.OpPolicy, VNodes: []control.VNode{{VNode: d.vnode, Rules: rules}}})
	switch {
	case t.over():
		return nil
	case err != nil:
		return err
	}
	t.renote(d.vnode, rules)
	return nil
}
