package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"emujail/protocol"
	"emujail/proxy/control"
)

// proxied are the figures of the proxy: tmcc -proxy as the supervisor runs it,
// confined, callers attested, limits and audit log on, every client in a jail of
// its own.
func proxied() []figure {
	return []figure{
		{name: "proxy_rps", limit: 0.5, least: true, measure: proxyRate},
		{name: "proxy_p99", limit: 3, measure: proxyP99},
		{name: "proxy_added", unit: "ms", limit: 0.15, measure: proxyAdded},
		{name: "tls_resume", limit: 2, least: true, measure: tlsResume},
		{name: "proxy_idle_kib", unit: "KiB", limit: 12, measure: proxyIdle},
		{name: "flood_p50", limit: 2, measure: func(b *bench) (float64, error) { return flood(b, 50) }},
		{name: "flood_p99", limit: 2, measure: func(b *bench) (float64, error) { return flood(b, 99) }},
	}
}

// A door is a proxy with its supervisor, this program.
type door struct {
	dir     string
	cmd     *exec.Cmd
	conn    *control.Conn
	answers chan control.Message
	paths   []string // a socket for each jail
	cgroup  uint64
	key     crypto.Signer // nil without TLS
	audit   *os.File
}

// openDoor starts a proxy before the tmcd at addr, for a number of jails.
func (b *bench) openDoor(addr string, jails int, tls *hostKey) (_ *door, err error) {
	d := &door{answers: make(chan control.Message, 16)}
	if d.dir, err = os.MkdirTemp(b.dir, "p"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.cgroup, err = ownCgroup(); err != nil {
		return nil, err
	}
	if err := d.start(b); err != nil {
		return nil, err
	}
	m := control.Message{Op: control.OpTmcd, Version: protocol.Version}
	to := netip.MustParseAddrPort(addr)
	m.Servers = []control.Server{{Name: "boss.emulab.test", Addrs: []netip.Addr{to.Addr()}, Ports: []int{int(to.Port())}}}
	if tls != nil {
		d.key, m.TLS = tls.key, &control.TLS{CA: tls.ca, Cert: tls.cert}
	}
	if err := d.order(m); err != nil {
		return nil, err
	}
	if d.audit, err = os.Create(filepath.Join(d.dir, "audit.log")); err != nil {
		return nil, err
	}
	if err := d.order(control.Message{Op: control.OpAudit, MaxBytes: 1 << 30}, d.audit); err != nil {
		return nil, err
	}
	return d, d.listen(jails)
}

// start starts the process and waits until it is ready.
func (d *door) start(b *bench) error {
	tmcc, err := b.build("./tmcc")
	if err != nil {
		return err
	}
	ours, theirs, err := control.Pair()
	if err != nil {
		return err
	}
	d.conn = ours
	d.cmd = exec.Command(tmcc, "-proxy")
	d.cmd.Env = []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=control", fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/4))} // as jailsetup serve does
	d.cmd.ExtraFiles = []*os.File{theirs}
	d.cmd.Stderr = os.Stderr
	if err := errors.Join(d.cmd.Start(), theirs.Close()); err != nil {
		return err
	}
	go d.read()
	if m := <-d.answers; m.Op != control.OpReady {
		return fmt.Errorf("proxy says %q, not that it is ready", m.Op)
	}
	return nil
}

// read answers requests for signatures; the rest goes to order.
func (d *door) read() {
	defer close(d.answers)
	var sign control.SignServer
	for {
		m, files, err := d.conn.Receive(context.Background())
		if err = errors.Join(err, control.CloseFiles(files)); err != nil {
			return
		}
		if m.Op == control.OpSign {
			sign.Key, sign.Rate = d.key, 1<<20
			if d.conn.Send(sign.Answer(m)) != nil {
				return
			}
			continue
		}
		d.answers <- m
	}
}

func (d *door) order(m control.Message, files ...*os.File) error {
	if err := d.conn.Send(m, files...); err != nil {
		return err
	}
	a, ok := <-d.answers
	if !ok || a.Op != control.OpOK {
		return fmt.Errorf("proxy answers %s by %q %s", m.Op, a.Op, a.Error)
	}
	return nil
}

// listen makes sockets for as many jails and hands them over.
func (d *door) listen(jails int) error {
	for len(d.paths) < jails {
		m := control.Message{Op: control.OpListen}
		var files []*os.File
		for len(d.paths) < jails && len(files) < 200 {
			name := fmt.Sprintf("pcvm1-%d", len(d.paths)+1)
			path := filepath.Join(d.dir, name)
			f, err := listener(path)
			if err != nil {
				return err
			}
			d.paths, files = append(d.paths, path), append(files, f)
			m.VNodes = append(m.VNodes, control.VNode{VNode: name, Cgroup: d.cgroup})
		}
		if err := errors.Join(d.order(m, files...), control.CloseFiles(files)); err != nil {
			return err
		}
	}
	return nil
}

func listener(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}

func (d *door) close() error {
	var err error
	if d.conn != nil {
		err = d.conn.Close() // without a socket for the next one, it drains
	}
	if d.cmd != nil && d.cmd.Process != nil {
		late := time.AfterFunc(15*time.Second, func() { _ = d.cmd.Process.Kill() })
		_ = d.cmd.Wait()
		late.Stop()
	}
	if d.audit != nil {
		err = errors.Join(err, d.audit.Close())
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// ownCgroup is the inode of the unified cgroup that this process, the callers',
// lies in.
func ownCgroup() (uint64, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			var st syscall.Stat_t
			if isUnified(mount) && syscall.Stat(filepath.Join(mount, path), &st) == nil {
				return st.Ino, nil
			}
		}
	}
	return 0, errors.New("no unified cgroup")
}

// isUnified tells a cgroup2 mount by its type.
func isUnified(mount string) bool {
	const cgroup2Magic = 0x63677270
	var fs syscall.Statfs_t
	return syscall.Statfs(mount, &fs) == nil && fs.Type == cgroup2Magic
}
