package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/lab"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/removal"
	"emujail/jailsetup/supervise"
)

// host is a testbed of the measurement's own.
type host struct {
	o        Options
	dir      string
	lab      lab.Lab
	site     jail.Site
	sitePath string
	text     []byte // the testbed file
	webRoot  string // what its web server serves; empty: none
	vnodes   []string
	info     supervise.Info
	settled  time.Time // since when the jails have had nothing to do
}

// maxVNodes is what the address plan gives one host.
const maxVNodes = 254

// newHost makes a measurement's testbed and starts its supervisor; one boot has
// made the template.
func newHost(ctx context.Context, o Options, m measurement) (h *host, err error) {
	if m.jails > maxVNodes {
		return nil, fmt.Errorf("%d vnodes: at most %d", m.jails, maxVNodes)
	}
	dir, err := os.MkdirTemp(o.Dir, "h")
	if err != nil {
		return nil, err
	}
	h = &host{o: o, dir: dir, lab: lab.Lab{Dir: filepath.Join(dir, "lab"), Bin: o.Programs}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close(context.WithoutCancel(ctx)))
		}
	}()
	file := filepath.Join(dir, "testbed.yaml")
	if err := m.make(h, m.jails); err != nil {
		return h, err
	}
	if err := os.WriteFile(file, h.text, 0o600); err != nil {
		return h, err
	}
	t, err := h.lab.Read(ctx, file)
	if err != nil {
		return h, err
	}
	if err := h.lab.Make(ctx, t); err != nil {
		return h, err
	}
	if err := h.writeSite(); err != nil {
		return h, err
	}
	if err := h.startSupervisor(ctx); err != nil {
		return h, err
	}
	if err := h.lab.Serve(ctx, t, file, h.webRoot); err != nil {
		return h, err
	}
	if _, err := h.boot(ctx, h.vnodes[0]); err != nil {
		return h, err
	}
	_, err = h.kill(ctx, h.vnodes[0])
	return h, err
}

// plain makes a testbed of one experiment, all vnodes on one LAN, with nothing
// to do.
func plain(h *host, vnodes int) error {
	nodes := h.nodes(vnodes, "")
	var members bytes.Buffer
	for n := 1; n <= vnodes; n++ {
		fmt.Fprintf(&members, "node-%d: 10.1.1.%d, ", n, n)
	}
	h.text = fmt.Appendf(nil, `site: {domain: emulab.test, boss: boss.emulab.test, boss_ip: 172.16.1.0, ops: ops.emulab.test, ops_ip: 172.16.1.0,
  fs: fs.emulab.test, event_server: event-server.emulab.test, gateway: 172.16.1.0}
projects: {bench: {name: Bench, head: alice, gid: 6001}}
users: {alice: {name: Alice Able, uid: 10001, groups: {bench: project_root}}}
hosts: {pc1: {ip: 172.16.1.0, experiment: bench/many, name: vhost-0, role: virthost}}
vnodes:
%sexperiments:
  bench/many:
    creator: alice
    keyhash: 5f4dcc3b5aa765d61d8327deb882cf99
    eventkey: 9e107d9d372bb6826bd81d3542a419d6
    mounts: none
    lans: {lan0: {mask: 255.255.255.0, members: {%s}}}
`, nodes, strings.TrimSuffix(members.String(), ", "))
	return nil
}

// nodes names the vnodes, and returns their lines with more words in each. The
// names are this run's own: cgroups are the host's.
func (h *host) nodes(vnodes int, more string) string {
	base := "b" + strconv.FormatInt(time.Now().UnixNano()%1e12, 36)
	if more != "" {
		more = ", " + more
	}
	var b strings.Builder
	for n := 1; n <= vnodes; n++ {
		id := fmt.Sprintf("%s-%d", base, n)
		h.vnodes = append(h.vnodes, id)
		fmt.Fprintf(&b, "  %s: {host: pc1, experiment: bench/many, name: node-%d, sshdport: %d, jail: {ip: 172.16.1.%d}%s}\n", id, n, 30000+n, n, more)
	}
	return b.String()
}

func (h *host) writeSite() (err error) {
	text, err := os.ReadFile(h.lab.SitePath())
	if err != nil {
		return err
	}
	h.sitePath = filepath.Join(h.dir, "site.yaml")
	more := fmt.Sprintf("run: %s\novercommit: true\n", filepath.Join(h.dir, "run"))
	if err := os.WriteFile(h.sitePath, append(text, more...), 0o600); err != nil {
		return err
	}
	h.site, err = jail.LoadSite(h.sitePath)
	return err
}

func (h *host) startSupervisor(ctx context.Context) error {
	conn, err := supervise.Spawn(ctx, h.site)
	if err != nil {
		return err
	}
	defer conn.Close()
	return h.askInfo(conn)
}

func (h *host) askInfo(conn net.Conn) error {
	return supervise.Call(conn, supervise.Request{Verb: supervise.VerbInfo}, func(r supervise.Reply) {
		if r.Info != nil {
			h.info = *r.Info
		}
	})
}

// verb has the supervisor do something, and returns how long it took.
func (h *host) verb(ctx context.Context, req supervise.Request) (took time.Duration, steps []plan.Event, err error) {
	conn, err := supervise.Dial(ctx, h.site)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	began := time.Now()
	err = supervise.Call(conn, req, func(r supervise.Reply) {
		if r.Step != nil {
			steps = append(steps, *r.Step)
		}
	})
	if err != nil {
		err = fmt.Errorf("%s %s: %w", req.Verb, req.VNode, err)
	}
	return time.Since(began), steps, err
}

// boot boots a vnode and returns the steps.
func (h *host) boot(ctx context.Context, vnode string) ([]plan.Event, error) {
	_, steps, err := h.verb(ctx, supervise.Request{Verb: supervise.VerbBoot, VNode: vnode})
	return steps, err
}

func (h *host) kill(ctx context.Context, vnode string) (time.Duration, error) {
	took, _, err := h.verb(ctx, supervise.Request{Verb: supervise.VerbKill, VNode: vnode})
	return took, err
}

func (h *host) halt(ctx context.Context, vnode string) error {
	_, _, err := h.verb(ctx, supervise.Request{Verb: supervise.VerbHalt, VNode: vnode})
	return err
}

// bootAll boots those vnodes that don't run and waits until all are up.
func (h *host) bootAll(ctx context.Context, vnodes []string) error {
	running, err := h.running()
	if err != nil {
		return err
	}
	for _, v := range vnodes {
		if running[v] {
			continue
		}
		h.settled = time.Time{}
		if _, err := h.boot(ctx, v); err != nil {
			return err
		}
	}
	if err := h.awaitUp(ctx, vnodes); err != nil {
		return err
	}
	if h.settled.IsZero() {
		h.settled = time.Now()
	}
	return nil
}

// settle waits until the jails have been idle for so long.
func (h *host) settle(ctx context.Context, d time.Duration) error {
	return wait(ctx, time.Until(h.settled.Add(d)))
}

// upTimeout bounds the wait for the last of many to configure itself.
const upTimeout = 2 * time.Minute

func (h *host) awaitUp(ctx context.Context, vnodes []string) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	for {
		states, err := h.lab.States(ctx)
		if err != nil {
			return err
		}
		missing := ""
		for _, v := range vnodes {
			if states[v] != "ISUP" {
				missing = v
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s, not ISUP: %w", missing, states[missing], ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// running are the vnodes whose jails run.
func (h *host) running() (map[string]bool, error) {
	jails, err := supervise.List(h.site)
	running := map[string]bool{}
	for _, j := range jails {
		running[j.VNode] = j.Alive
	}
	return running, err
}

// record is what is known of a jail.
func (h *host) record(vnode string) (jail.Record, error) { return h.site.Load(vnode) }

// close kills what is left and takes the testbed away.
func (h *host) close(ctx context.Context) error {
	var err error
	if h.sitePath != "" {
		conn, dialErr := supervise.Dial(ctx, h.site)
		if dialErr == nil {
			err = supervise.Call(conn, supervise.Request{Verb: supervise.VerbStop, Clean: true}, func(supervise.Reply) {})
			conn.Close()
		}
		err = errors.Join(err, supervise.AwaitEnd(ctx, h.site))
	}
	return errors.Join(err, h.lab.Remove(), removal.Tree(h.dir))
}

// show renders a value for a note.
func show(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
