package supervise

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"emujail/jailsetup/jail"
	"emujail/protocol"
	"emujail/proxy/control"
	"emujail/tmcc/client/tlsdial"
)

// Times of the proxy's life. It is back within a second after a kill; one that
// keeps dying is started ever more slowly.
const (
	readyTimeout  = 5 * time.Second
	answerTimeout = 5 * time.Second
	firstPause    = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	healthyAfter  = 10 * time.Second
	batch         = 200 // sockets a message: below 253 descriptors and 64 KiB
)

// errProxyDown says that the proxy isn't there at the moment.
var errProxyDown = errors.New("the proxy is not running")

// proxyKeeper keeps one proxy process alive and tells it whose sockets are
// whose.
type proxyKeeper struct {
	program string // tmcc
	audit   string // path of the audit log
	tmcd    control.Message
	signer  *control.SignServer // nil without TLS
	log     *slog.Logger
	doors   func() []*door // all there are; asked at each start

	turn    sync.Mutex // one request at a time
	answers chan control.Message

	mu    sync.Mutex
	conn  *link
	pid   int
	known map[string]bool // vnodes that this proxy has
	ready chan struct{}   // closed while a proxy is up
}

// link is the conversation with one proxy process.
type link struct {
	*control.Conn
	gone chan struct{} // closed when nothing more will be heard
}

func newProxyKeeper(site jail.Site, tmcd jail.Tmcd, log *slog.Logger) (*proxyKeeper, error) {
	k := &proxyKeeper{
		program: filepath.Join(site.Programs, "tmcc"),
		audit:   filepath.Join(site.State, "audit.log"),
		log:     log,
		answers: make(chan control.Message, 1),
		ready:   make(chan struct{}),
	}
	k.tmcd = control.Message{Op: control.OpTmcd, Version: protocol.Version, Servers: []control.Server{{
		Name: tmcd.Boss.Name, Addrs: tmcd.Boss.Addrs, Ports: tmcd.Boss.Ports,
	}}}
	if site.Certificates == "" {
		return k, nil
	}
	ca, err := os.ReadFile(filepath.Join(site.Certificates, tlsdial.CAFile))
	if err != nil {
		return nil, err
	}
	key, ok := tmcd.TLS.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key of %s can't sign", filepath.Join(site.Certificates, tlsdial.ClientFile))
	}
	var chain []byte
	for _, der := range tmcd.TLS.Certificate.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	// The key stays here: the proxy asks for each signature.
	k.tmcd.TLS = &control.TLS{CA: string(ca), Cert: string(chain)}
	k.signer = &control.SignServer{Key: key, Report: func(_ control.Message, err error) {
		if err != nil {
			log.Warn("signature refused to the proxy", "error", err)
		}
	}}
	return k, nil
}

// run starts the proxy again and again until ctx ends, then lets it drain.
func (k *proxyKeeper) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := k.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > healthyAfter {
			pause = firstPause
		}
		k.log.Warn("proxy ended, starting it again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// once starts one proxy, sets it up and waits for its end.
func (k *proxyKeeper) once(ctx context.Context) error {
	ours, theirs, err := control.Pair()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd := exec.Command(k.program, "-proxy")
	cmd.Env = []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=control", "GOMAXPROCS=2"}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { ours.Close() }) // it drains and ends
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- k.serve(&link{ours, make(chan struct{})}, cmd.Process.Pid) }()
	err = cmd.Wait()
	ours.Close()
	return errors.Join(err, <-ended)
}

// serve sets the proxy up and answers it until the connection ends.
func (k *proxyKeeper) serve(conn *link, pid int) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	m, files, err := conn.Receive(ctx)
	cancel()
	control.CloseFiles(files)
	if err != nil || m.Op != control.OpReady {
		return errors.Join(fmt.Errorf("proxy said %q, not ready", m.Op), err)
	}
	read := make(chan error, 1)
	go func() { read <- k.read(conn) }()
	if err := k.setUp(conn); err != nil {
		conn.Close()
		return errors.Join(err, <-read)
	}
	k.mu.Lock()
	k.conn, k.pid = conn, pid
	close(k.ready)
	k.mu.Unlock()
	err = <-read
	k.mu.Lock()
	k.conn, k.pid, k.ready = nil, 0, make(chan struct{})
	k.mu.Unlock()
	return err
}

// setUp tells a new proxy everything, in the order in which it needs it.
func (k *proxyKeeper) setUp(conn *link) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	if err := k.ask(conn, k.tmcd); err != nil {
		return err
	}
	if err := k.giveAudit(conn); err != nil {
		return err
	}
	known := map[string]bool{}
	doors := k.doors()
	for len(doors) > 0 {
		some := doors[:min(batch, len(doors))]
		doors = doors[len(some):]
		if err := k.ask(conn, listenMessage(some), socketsOf(some)...); err != nil {
			return err
		}
		for _, d := range some {
			known[d.vnode] = true
		}
	}
	k.mu.Lock()
	k.known = known
	k.mu.Unlock()
	return nil
}

func (k *proxyKeeper) giveAudit(conn *link) error {
	f, err := os.OpenFile(k.audit, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return k.ask(conn, control.Message{Op: control.OpAudit}, f)
}

func listenMessage(doors []*door) control.Message {
	m := control.Message{Op: control.OpListen}
	for _, d := range doors {
		m.VNodes = append(m.VNodes, control.VNode{VNode: d.vnode, Cgroup: d.cgroup})
	}
	return m
}

func socketsOf(doors []*door) []*os.File {
	var files []*os.File
	for _, d := range doors {
		files = append(files, d.tmcc)
	}
	return files
}

// read takes what the proxy says: requests for signatures are answered, the
// rest are answers to ours.
func (k *proxyKeeper) read(conn *link) error {
	defer close(conn.gone)
	for {
		m, files, err := conn.Receive(context.Background())
		control.CloseFiles(files)
		if err != nil {
			return err
		}
		switch m.Op {
		case control.OpSign:
			if k.signer == nil {
				return errors.New("proxy asks for a signature where there is no TLS")
			}
			if err := conn.Send(k.signer.Answer(m)); err != nil {
				return err
			}
		case control.OpOK, control.OpError, control.OpCounters:
			select {
			case k.answers <- m:
			default: // nobody asked
			}
		case control.OpAuditFull:
			k.log.Warn("audit log is full: lines are counted and dropped until it is rotated and re-opened")
		}
	}
}

// ask sends one request and waits for its answer. The caller has the turn.
func (k *proxyKeeper) ask(conn *link, m control.Message, files ...*os.File) error {
	select {
	case <-k.answers: // a late answer to somebody who gave up
	default:
	}
	if err := conn.Send(m, files...); err != nil {
		return err
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	for {
		select {
		case a := <-k.answers:
			if a.Re != m.Op {
				continue
			}
			if a.Op == control.OpError {
				return fmt.Errorf("proxy refuses %s: %s", m.Op, a.Error)
			}
			return nil
		case <-conn.gone:
			return fmt.Errorf("%s: %w", m.Op, errProxyDown)
		case <-timer.C:
			return fmt.Errorf("proxy doesn't answer %s", m.Op)
		}
	}
}

// listen hands the door's socket over, also to a proxy that is just coming
// back.
func (k *proxyKeeper) listen(ctx context.Context, d *door) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	for {
		conn, err := k.await(ctx)
		if err != nil {
			return err
		}
		err = k.listenOnce(conn, d)
		if err == nil || k.up(conn) {
			return err
		}
	}
}

func (k *proxyKeeper) listenOnce(conn *link, d *door) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	known := k.known[d.vnode]
	k.mu.Unlock()
	if known {
		return nil // it was told at its start
	}
	if err := k.ask(conn, listenMessage([]*door{d}), d.tmcc); err != nil {
		return err
	}
	k.mu.Lock()
	k.known[d.vnode] = true
	k.mu.Unlock()
	return nil
}

// close takes the vnode's socket from the proxy and cuts its connections. A
// proxy that isn't there has none.
func (k *proxyKeeper) close(_ context.Context, vnode string) error {
	k.mu.Lock()
	conn := k.conn
	known := k.known[vnode]
	delete(k.known, vnode)
	k.mu.Unlock()
	if conn == nil || !known {
		return nil
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	err := k.ask(conn, control.Message{Op: control.OpClose, VNode: vnode})
	if err != nil && !k.up(conn) {
		return nil // it died, and its connections with it
	}
	return err
}

// await waits for a proxy that is up.
func (k *proxyKeeper) await(ctx context.Context) (*link, error) {
	for {
		k.mu.Lock()
		conn, ready := k.conn, k.ready
		k.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, errProxyDown
		}
	}
}

func (k *proxyKeeper) up(conn *link) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn == conn
}

// processID is the proxy's pid, or 0.
func (k *proxyKeeper) processID() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pid
}
