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
	"runtime"
	"sync"
	"syscall"
	"time"

	"emujail/jailsetup/jail"
	"emujail/protocol"
	"emujail/proxy/control"
	"emujail/tmcc/client"
	"emujail/tmcc/client/tlsdial"
)

// Times of the proxy's life. It is back within a second after a kill; one that
// keeps dying is started ever more slowly.
const (
	readyTimeout  = 5 * time.Second
	answerTimeout = 5 * time.Second
	mindEvery     = 30 * time.Second // so long, and an answer's time, may a hang go unseen
	drainTimeout  = 12 * time.Second // it gives what is under way 10 s
	firstPause    = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	healthyAfter  = 10 * time.Second
)

// proxyKeeper keeps one proxy process alive and tells it whose sockets are
// whose.
type proxyKeeper struct {
	site   jail.Site
	orders []control.Message   // said to each new proxy, in this order
	signer *control.SignServer // nil without TLS
	audit  auditLog
	log    *slog.Logger
	doors  func() []*door  // all there are; asked at each start
	group  *sync.WaitGroup // the supervisor's

	full chan struct{} // the audit log is to be rotated

	settling sync.Mutex // held while a new proxy is told of the doors

	mu      sync.Mutex
	talk    *talk // nil: no proxy is up
	pid     int
	started int           // proxies so far
	ready   chan struct{} // closed while a proxy is up
	old     *predecessor  // nil: none
}

func newProxyKeeper(site jail.Site, tmcd jail.Tmcd, log *slog.Logger) (*proxyKeeper, error) {
	k := &proxyKeeper{
		site:  site,
		audit: auditLog{path: site.AuditPath(), maxBytes: int64(site.Proxy.Audit.MiB) << 20, files: site.Proxy.Audit.Files},
		log:   log,
		full:  make(chan struct{}, 1),
		ready: make(chan struct{}),
	}
	m := control.Message{
		Op: control.OpTmcd, Version: protocol.Version,
		Servers: serversOf(tmcd.Servers, site.Proxy.ProxyHeader), Redirects: serversOf(tmcd.Redirects, false),
	}
	if site.Certificates != "" {
		var err error
		if m.TLS, k.signer, err = signing(site, tmcd, log); err != nil {
			return nil, err
		}
	}
	limits := site.Proxy.Limits.Control()
	k.orders = []control.Message{m, {Op: control.OpLimits, Limits: &limits}}
	return k, nil
}

func serversOf(list []client.Server, header bool) []control.Server {
	var out []control.Server
	for _, s := range list {
		out = append(out, control.Server{Name: s.Name, Addrs: s.Addrs, Ports: s.Ports, ProxyHeader: header})
	}
	return out
}

// signing is what the proxy needs for handshakes without the key, which stays
// here: it asks for each signature.
func signing(site jail.Site, tmcd jail.Tmcd, log *slog.Logger) (*control.TLS, *control.SignServer, error) {
	ca, err := os.ReadFile(filepath.Join(site.Certificates, tlsdial.CAFile))
	if err != nil {
		return nil, nil, err
	}
	key, ok := tmcd.TLS.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("key of %s can't sign", filepath.Join(site.Certificates, tlsdial.ClientFile))
	}
	var chain []byte
	for _, der := range tmcd.TLS.Certificate.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	report := func(_ control.Message, err error) {
		if err != nil {
			log.Warn("signature refused to the proxy", "error", err)
		}
	}
	return &control.TLS{CA: string(ca), Cert: string(chain)}, &control.SignServer{Key: key, Report: report}, nil
}

// run starts the proxy again and again until ctx ends, then lets it drain.
func (k *proxyKeeper) run(ctx context.Context) {
	defer k.leaveOld()
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
	cmd := exec.Command(filepath.Join(k.site.Programs, "tmcc"), "-proxy")
	cmd.Env = []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=control", fmt.Sprintf("GOMAXPROCS=%d", processors())}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), theirs.Close())
	if cmd.Process == nil {
		return errors.Join(fmt.Errorf("start proxy: %w", err), ours.Close())
	}
	served := make(chan error, 1)
	go func() {
		err := k.serve(ctx, ours, cmd.Process.Pid)
		if ctx.Err() == nil {
			// Nobody talks to it any more, and it may live on: stopped, or at the
			// socket for the next supervisor.
			_ = cmd.Process.Kill()
		}
		served <- err
	}()
	late := context.AfterFunc(ctx, func() {
		time.AfterFunc(drainTimeout, func() { _ = cmd.Process.Kill() }) // after its end this does nothing
	})
	defer late()
	err = errors.Join(err, cmd.Wait(), ours.Close())
	return errors.Join(err, <-served)
}

// processors is how many the proxy may keep busy: it waits most of the time, and
// waking a second one costs a request a tenth of a millisecond.
func processors() int { return max(1, runtime.NumCPU()/4) }

// serve sets the proxy up and stays in conversation with it until it hangs up.
// When ctx ends it is told to drain.
func (k *proxyKeeper) serve(ctx context.Context, conn *control.Conn, pid int) error {
	if err := k.notePID(pid); err != nil {
		k.log.Warn("proxy's process isn't noted: the next supervisor can't end it", "error", err)
	}
	t, err := k.begin(conn, readyTimeout)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := k.settle(t, pid); err != nil {
		return errors.Join(err, t.end())
	}
	stop := context.AfterFunc(ctx, func() { k.drain(t) })
	defer stop()
	k.retire()
	// The socket for the next supervisor takes the place of the earlier proxy's:
	// only once that one is told to end, else nobody could.
	if err := k.giveHeir(t); err != nil && !t.over() {
		k.log.Warn("proxy won't outlive this supervisor", "error", err)
	}
	t.mind(mindEvery)
	k.mu.Lock()
	k.talk, k.pid, k.ready = nil, 0, make(chan struct{})
	k.mu.Unlock()
	return errors.Join(t.err, t.end())
}

// settle tells the proxy all, and makes it the one that is up.
func (k *proxyKeeper) settle(t *talk, pid int) error {
	k.settling.Lock()
	defer k.settling.Unlock()
	if err := k.setUp(t); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.talk, k.pid = t, pid
	k.started++
	close(k.ready)
	return nil
}

func (k *proxyKeeper) drain(t *talk) {
	if err := t.ask(control.Message{Op: control.OpDrain}); err != nil && !t.over() {
		k.log.Warn("proxy doesn't drain", "error", err)
	}
}

// setUp tells a new proxy everything, in the order in which it needs it.
func (k *proxyKeeper) setUp(t *talk) error {
	for _, m := range k.orders {
		if err := t.ask(m); err != nil {
			return err
		}
	}
	if err := k.giveAudit(t, false); err != nil {
		return err
	}
	return t.listen(k.site.Proxy.Attest, k.doors())
}

// Bounds of a listen message: below 253 descriptors and 64 KiB.
const (
	batchSockets = 200
	batchBytes   = 48 << 10
	vnodeBytes   = 160 // of one, but for path and rules
)

// listenMessage hands over as many of the doors as fit into one message.
func listenMessage(attest string, doors []*door) (m control.Message, some []*door) {
	m.Op = control.OpListen
	size := 0
	for _, d := range doors {
		rules := d.rules()
		size += vnodeBytes + len(d.path)
		for _, r := range rules {
			size += len(r) + len(`"",`)
		}
		if len(some) > 0 && (size > batchBytes || len(some) == batchSockets) {
			break
		}
		m.VNodes = append(m.VNodes, control.VNode{VNode: d.vnode, Cgroup: d.cgroup, Path: d.path, Attest: attest, Rules: rules})
		some = append(some, d)
	}
	return m, some
}

func socketsOf(doors []*door) []*os.File {
	var files []*os.File
	for _, d := range doors {
		files = append(files, d.tmcc)
	}
	return files
}

// listen hands the door's socket over, also to a proxy that is just coming
// back.
func (k *proxyKeeper) listen(ctx context.Context, d *door) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerTimeout)
	defer cancel()
	for {
		t, err := k.await(ctx)
		if err != nil {
			return err
		}
		if t.knows(d.vnode) { // it was told at its start
			return nil
		}
		err = t.listen(k.site.Proxy.Attest, []*door{d})
		if err == nil || !t.over() {
			return err
		}
	}
}

// close takes the vnode's socket from the proxy and cuts its connections, and
// from an earlier supervisor's proxy that still drains. The door is out of
// k.doors: a proxy that is being set up is waited for, a later one isn't told.
func (k *proxyKeeper) close(vnode string) error {
	k.settling.Lock()
	defer k.settling.Unlock()
	k.mu.Lock()
	t, old := k.talk, k.old
	k.mu.Unlock()
	var err error
	if t != nil {
		err = t.close(vnode)
	}
	if old != nil {
		err = errors.Join(err, old.talk.close(vnode))
		if old.talk.over() {
			k.retire() // it may hold connections of the jail
		}
	}
	return err
}

// await waits for a proxy that is up.
func (k *proxyKeeper) await(ctx context.Context) (*talk, error) {
	for {
		k.mu.Lock()
		t, ready := k.talk, k.ready
		k.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, errProxyDown
		}
	}
}

// current is the conversation with the proxy that is up, or nil.
func (k *proxyKeeper) current() *talk {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.talk
}

// processID is the proxy's pid, or 0.
func (k *proxyKeeper) processID() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pid
}
