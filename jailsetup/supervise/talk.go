package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"emujail/proxy/control"
)

// errProxyDown says that the proxy isn't there at the moment.
var errProxyDown = errors.New("the proxy is not running")

// maxParts bounds an answer: 253 sockets, or 150 jails' counters, each.
const maxParts = 512

// A talk is the conversation with one proxy process, from its first word on.
type talk struct {
	conn   *control.Conn
	signer *control.SignServer // nil without TLS
	full   func()              // the audit log has reached its bound
	log    *slog.Logger

	turn    sync.Mutex // one request at a time
	answers chan answer
	gone    chan struct{} // closed when nothing more will be heard
	err     error         // why; to be read after gone

	mu    sync.Mutex
	asked string              // the request that waits for its answer; empty: none
	told  map[string][]string // the rules, by the vnodes whose sockets this proxy was given
}

// An answer is what a proxy says to a request, with what came along.
type answer struct {
	m     control.Message
	files []*os.File
}

// begin waits for the proxy's first word, and hears it from then on.
func (k *proxyKeeper) begin(conn *control.Conn, patience time.Duration) (*talk, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, files, err := conn.Receive(ctx)
	err = errors.Join(err, control.CloseFiles(files))
	if err == nil && m.Op != control.OpReady {
		err = fmt.Errorf("proxy says %q, not that it is ready", m.Op)
	}
	if err != nil {
		return nil, err
	}
	t := &talk{
		conn: conn, signer: k.signer, full: k.auditFull, log: k.log,
		answers: make(chan answer, maxParts), gone: make(chan struct{}), told: map[string][]string{},
	}
	k.group.Go(func() {
		defer close(t.gone)
		t.err = t.read()
	})
	return t, nil
}

// read takes what the proxy says: requests for signatures are answered, the
// rest are answers to ours. Nothing of it is believed that couldn't be checked.
func (t *talk) read() error {
	for {
		m, files, err := t.conn.Receive(context.Background())
		if err != nil {
			return errors.Join(err, control.CloseFiles(files))
		}
		switch m.Op {
		case control.OpSign:
			err = t.sign(m)
		case control.OpOK, control.OpError, control.OpCounters, control.OpReturn:
			if t.take(answer{m, files}) {
				files = nil
			}
		case control.OpAuditFull:
			t.full()
		}
		if err = errors.Join(err, control.CloseFiles(files)); err != nil {
			return err
		}
	}
}

// take keeps an answer for whoever asked. What nobody asked for, descriptors
// above all, isn't kept.
func (t *talk) take(a answer) bool {
	t.mu.Lock() // until it is kept: else it could be taken for the next question's
	defer t.mu.Unlock()
	if t.asked == "" || a.m.Re != t.asked || len(a.files) > 0 && t.asked != control.OpReturn {
		return false
	}
	select {
	case t.answers <- a:
		return true
	default:
		return false
	}
}

// expect notes what is asked from now on; empty: nothing.
func (t *talk) expect(op string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = op
}

func (t *talk) sign(m control.Message) error {
	if t.signer == nil {
		return errors.New("proxy asks for a signature where there is no TLS")
	}
	return t.conn.Send(t.signer.Answer(m))
}

// ask sends one request and waits for its answer.
func (t *talk) ask(m control.Message, files ...*os.File) error {
	return t.collect(m, func(answer) error { return nil }, files...)
}

// collect sends one request and gives each part of its answer to each. What
// came along is closed afterwards, unless each has taken it out. With a proxy
// that doesn't answer, or never ends, the conversation is over.
func (t *talk) collect(m control.Message, each func(answer) error, files ...*os.File) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.forget()
	t.expect(m.Op)
	defer t.expect("")
	switch err := t.conn.Send(m, files...); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return t.cut(err)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		<-t.gone // the reader is about to see the same
		return fmt.Errorf("%s: %w", m.Op, errProxyDown)
	case err != nil:
		return err
	}
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	for range maxParts {
		select {
		case a := <-t.answers:
			more, err := t.heard(m.Op, a, each)
			if err != nil || !more {
				return err
			}
		case <-t.gone:
			return fmt.Errorf("%s: %w", m.Op, errProxyDown)
		case <-timer.C:
			return t.cut(fmt.Errorf("proxy doesn't answer %s", m.Op))
		}
	}
	return t.cut(fmt.Errorf("proxy's answer to %s has no end", m.Op))
}

// mind asks the proxy something now and then until the conversation is over: one
// that hangs is replaced though nobody has an order for it.
func (t *talk) mind(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-t.gone:
			return
		case <-ticker.C:
			// Any answer will do, also that it drains; without one the conversation is cut.
			_ = t.ask(control.Message{Op: control.OpCounters})
		}
	}
}

// cut ends the conversation with a proxy that doesn't keep to it; whoever keeps
// the proxy ends it then.
func (t *talk) cut(why error) error {
	t.log.Warn("proxy is cut off", "error", why)
	_ = t.conn.Close()
	<-t.gone
	return why
}

// heard judges one answer.
func (t *talk) heard(op string, a answer, each func(answer) error) (more bool, err error) {
	if a.m.Re != op {
		return true, control.CloseFiles(a.files) // late, to somebody who gave up
	}
	if a.m.Op == control.OpError {
		return false, errors.Join(fmt.Errorf("proxy refuses %s: %s", op, a.m.Error), control.CloseFiles(a.files))
	}
	return a.m.More, errors.Join(each(a), control.CloseFiles(a.files))
}

// forget drops late answers.
func (t *talk) forget() {
	for {
		select {
		case a := <-t.answers:
			_ = control.CloseFiles(a.files)
		default:
			return
		}
	}
}

// end closes the conversation, if that hasn't been done, and waits until nothing
// more is heard.
func (t *talk) end() error {
	err := t.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	<-t.gone
	t.forget()
	return err
}

// listen hands over sockets; of those that the proxy has already, nothing is
// said.
func (t *talk) listen(attest string, doors []*door) error {
	for len(doors) > 0 {
		m, some := listenMessage(attest, doors)
		doors = doors[len(some):]
		if err := t.ask(m, socketsOf(some)...); err != nil {
			return err
		}
		for _, v := range m.VNodes {
			t.note(v.VNode, v.Rules)
		}
	}
	return nil
}

// close takes the vnode's socket away and cuts its connections. A proxy that
// dies has none.
func (t *talk) close(vnode string) error {
	if !t.knows(vnode) {
		return nil
	}
	err := t.ask(control.Message{Op: control.OpClose, VNode: vnode})
	if err != nil && !t.over() {
		return err
	}
	t.mu.Lock()
	delete(t.told, vnode)
	t.mu.Unlock()
	return nil
}

// note keeps which rules the proxy was told for a vnode whose socket it has.
func (t *talk) note(vnode string, rules []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told[vnode] = rules
}

// renote is note for a vnode whose socket it has still.
func (t *talk) renote(vnode string, rules []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, has := t.told[vnode]; has {
		t.told[vnode] = rules
	}
}

// rules are those that the proxy was told, if it has the vnode.
func (t *talk) rules(vnode string) (told []string, has bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	told, has = t.told[vnode]
	return told, has
}

func (t *talk) knows(vnode string) bool {
	_, has := t.rules(vnode)
	return has
}

// over reports whether the proxy has hung up.
func (t *talk) over() bool {
	select {
	case <-t.gone:
		return true
	default:
		return false
	}
}
