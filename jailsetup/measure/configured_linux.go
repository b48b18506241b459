package measure

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// configured are the figures of jails that have something to configure: ten
// accounts, a tarball of 1 MiB, two traffic generators. A boot counts from
// BOOTING to ISUP, as tmcd hears of them.
func configured() []measurement {
	return []measurement{
		{Figure{Name: "isup", Limit: 15}, "BOOTING to ISUP with sshd answering, ten users, a tarball of 1 MiB, two traffic generators, as a share of runc run true", 1, working, isUp},
		{Figure{Name: "requests", Limit: 6}, "requests at tmcd from BOOTING to ISUP, isalive and rusage apart", 1, working, requests},
		{Figure{Name: "storm_20", Limit: 8}, "20 such boots together, from the first BOOTING to the last ISUP, as a share of 20 × runc run true", 20, working, storm},
		{Figure{Name: "restart", Limit: 0.8}, "BOOTING to ISUP of a jail that keeps its disk, as a share of its first boot", 1, working, restart},
		{Figure{Name: "mem_agents", Unit: "MiB", Limit: 6}, "PSS of an idle jail with its watchdog and agents, mean of 20, after 60 s", 20, working, memoryAgents},
	}
}

// users of the experiment.
const users = 10

// archive is the tarball that each jail unpacks: this many random bytes.
const archive = 1 << 20

// working makes a testbed in which jails have work: the head of the experiment
// and nine more users with keys, software, and a source and a sink each.
func working(h *host, vnodes int) error {
	var people, members, traffic bytes.Buffer
	for n := range users {
		fmt.Fprintf(&people, "  user%d: {name: User %d, uid: %d, shell: bash, keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%042d user%d\"], groups: {bench: %s}}\n",
			n, n, 10001+n, n, n, map[bool]string{true: "project_root", false: "user"}[n == 0])
	}
	b := h.nodes(vnodes, "tarballs: {/opt: /proj/bench/tools.tar.gz}")
	for n := range vnodes {
		to := (n + 1) % vnodes
		fmt.Fprintf(&members, "node-%d: 10.1.1.%d, ", n+1, n+1)
		fmt.Fprintf(&traffic, "      cbr%d: {node: node-%d, role: source, proto: udp, ip: 10.1.1.%d, port: 5001, peer: null%d}\n", n, n+1, n+1, n)
		fmt.Fprintf(&traffic, "      null%d: {node: node-%d, role: sink, proto: udp, ip: 10.1.1.%d, port: 5002, peer: cbr%d}\n", n, to+1, to+1, n)
	}
	text := fmt.Sprintf(`site: {domain: emulab.test, boss: boss.emulab.test, boss_ip: 172.16.1.0, ops: ops.emulab.test, ops_ip: 172.16.1.0,
  fs: fs.emulab.test, event_server: event-server.emulab.test, gateway: 172.16.1.0}
projects: {bench: {name: Bench, head: user0, gid: 6001}}
web: "172.16.1.0:8088"
users:
%shosts: {pc1: {ip: 172.16.1.0, experiment: bench/many, name: vhost-0, role: virthost}}
vnodes:
%sexperiments:
  bench/many:
    creator: user0
    swapper: user0
    keyhash: 5f4dcc3b5aa765d61d8327deb882cf99
    eventkey: 9e107d9d372bb6826bd81d3542a419d6
    mounts: none
    lans: {lan0: {mask: 255.255.255.0, members: {%s}}}
    traffic:
%s`, people.String(), b, strings.TrimSuffix(members.String(), ", "), traffic.String())
	h.text = []byte(text)
	h.webRoot = filepath.Join(h.dir, "web")
	return writeTarball(filepath.Join(h.webRoot, "proj/bench/tools.tar.gz"))
}

func writeTarball(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	defer func() { err = errors.Join(err, w.Close(), z.Close(), f.Close()) }()
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "tools/data", Mode: 0o644, Size: archive}); err != nil {
		return err
	}
	_, err = io.CopyN(w, rand.Reader, archive)
	return err
}

// heard is one line of tmcd-mock's log.
type heard struct {
	Time          time.Time
	Kind          string
	Node, Command string
	Text          string
}

// history is what tmcd has heard since its start, in order.
func (h *host) history(ctx context.Context) (list []heard, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(h.o.Programs, "tmcd-mock"), "log", "--json", "--manage", filepath.Join(h.lab.Dir, "mock.sock"))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tmcd-mock log: %w", err)
	}
	for line := range bytes.Lines(out) {
		var e heard
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("tmcd-mock log: %w", err)
		}
		list = append(list, e)
	}
	return list, nil
}

// lastBoot is the vnode's last boot in the history, from BOOTING to ISUP.
func lastBoot(list []heard, vnode string) (boot []heard, err error) {
	from, to := -1, -1
	for i, e := range list {
		switch {
		case e.Node != vnode || e.Kind != "report":
		case e.Text == "BOOTING":
			from, to = i, -1
		case e.Text == "ISUP":
			to = i
		}
	}
	if from < 0 || to < from {
		return nil, fmt.Errorf("tmcd has heard of no whole boot of %s", vnode)
	}
	return slices.DeleteFunc(slices.Clone(list[from:to+1]), func(e heard) bool { return e.Node != vnode }), nil
}

// bootWhole boots a vnode and says how long it took until ISUP was heard and
// its sshd answered.
func (h *host) bootWhole(ctx context.Context, n int) (time.Duration, error) {
	v := h.vnodes[n]
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	answers := make(chan time.Time, 1)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { answers <- awaitSSH(ctx, fmt.Sprintf("172.16.1.%d:22", n+1)) })
	if err := h.bootAll(ctx, h.vnodes[n:n+1]); err != nil {
		return 0, err
	}
	ssh := <-answers
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("sshd of %s doesn't answer: %w", v, err)
	}
	list, err := h.history(ctx)
	if err != nil {
		return 0, err
	}
	boot, err := lastBoot(list, v)
	if err != nil {
		return 0, err
	}
	end := boot[len(boot)-1].Time
	if ssh.After(end) {
		end = ssh
	}
	return end.Sub(boot[0].Time), nil
}

// awaitSSH returns when sshd has said who it is, or ctx has ended.
func awaitSSH(ctx context.Context, addr string) time.Time {
	d := net.Dialer{Timeout: 10 * time.Millisecond} // one that is asked before there is a link hears nothing
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			word := make([]byte, 4)
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, err = io.ReadFull(c, word)
			c.Close()
			if err == nil && string(word) == "SSH-" {
				return time.Now()
			}
		}
		_ = wait(ctx, 2*time.Millisecond)
	}
	return time.Now()
}

const isUpRounds = 11

func isUp(ctx context.Context, h *host, f *Figure) error {
	peer, err := newRunc(h)
	if err != nil {
		return err
	}
	var ours, theirs []time.Duration
	for n := range isUpRounds + 1 {
		took, err := peer.run(ctx)
		if err != nil {
			return err
		}
		own, err := h.bootWhole(ctx, 0)
		if err != nil {
			return err
		}
		if n > 0 { // the first is cold
			ours, theirs = append(ours, own), append(theirs, took)
		}
		if n == isUpRounds {
			break
		}
		if _, err := h.kill(ctx, h.vnodes[0]); err != nil {
			return err
		}
	}
	f.ratio("BOOTING to ISUP", ours, "runc run true", theirs)
	return h.proveWork(ctx, h.vnodes[0])
}

// proveWork looks whether the jail has what it was to configure: a quick boot
// of an empty jail is none.
func (h *host) proveWork(ctx context.Context, vnode string) error {
	line := fmt.Sprintf("test $(grep -c ^user /etc/passwd) = %d && test $(wc -c </opt/tools/data) = %d && test $(injail event -status | wc -l) = 2", users, archive)
	if err := h.inside(ctx, vnode, "sh", "-c", line); err != nil {
		return fmt.Errorf("the jail isn't what it should be: %w", err)
	}
	return nil
}

func requests(ctx context.Context, h *host, f *Figure) error {
	if _, err := h.bootWhole(ctx, 0); err != nil {
		return err
	}
	list, err := h.history(ctx)
	if err != nil {
		return err
	}
	boot, err := lastBoot(list, h.vnodes[0])
	if err != nil {
		return err
	}
	words := []string{"state"} // ISUP's own: it is in the log after the report that it made
	for _, e := range boot {
		if e.Kind == "request" && e.Command != "isalive" && e.Command != "rusage" {
			words = append(words, e.Command)
		}
	}
	f.Value = float64(len(words))
	f.note("%s", strings.Join(append(words[1:], words[0]), ", "))
	return nil
}

const stormRounds = 3

func storm(ctx context.Context, h *host, f *Figure) error {
	peer, err := newRunc(h)
	if err != nil {
		return err
	}
	var walls, theirs []time.Duration
	for range stormRounds {
		for range 4 {
			took, err := peer.run(ctx)
			if err != nil {
				return err
			}
			theirs = append(theirs, took)
		}
		wall, err := h.stormOnce(ctx)
		if err != nil {
			return err
		}
		walls = append(walls, wall)
	}
	n := len(h.vnodes)
	f.Value = float64(median(walls)) / float64(n) / float64(median(theirs))
	f.note("%d boots together %.0f ms (%d times), runc run true %.1f ms (%d times)", n, ms(median(walls)), len(walls), ms(median(theirs)), len(theirs))
	return nil
}

// stormOnce boots all together, and kills them.
func (h *host) stormOnce(ctx context.Context) (time.Duration, error) {
	errs := make([]error, len(h.vnodes))
	var boots sync.WaitGroup
	for i, v := range h.vnodes {
		boots.Go(func() { _, errs[i] = h.boot(ctx, v) })
	}
	boots.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	if err := h.awaitUp(ctx, h.vnodes); err != nil {
		return 0, err
	}
	list, err := h.history(ctx)
	if err != nil {
		return 0, err
	}
	var first, last time.Time
	for _, v := range h.vnodes {
		boot, err := lastBoot(list, v)
		if err != nil {
			return 0, err
		}
		if from := boot[0].Time; first.IsZero() || from.Before(first) {
			first = from
		}
		if to := boot[len(boot)-1].Time; to.After(last) {
			last = to
		}
	}
	for _, v := range h.vnodes {
		if _, err := h.kill(ctx, v); err != nil {
			return 0, err
		}
	}
	return last.Sub(first), nil
}

const restartRounds = 9

func restart(ctx context.Context, h *host, f *Figure) error {
	var first, again []time.Duration
	for range restartRounds {
		took, err := h.bootWhole(ctx, 0)
		if err != nil {
			return err
		}
		first = append(first, took)
		if err := h.halt(ctx, h.vnodes[0]); err != nil {
			return err
		}
		if took, err = h.bootWhole(ctx, 0); err != nil {
			return err
		}
		again = append(again, took)
		if _, err := h.kill(ctx, h.vnodes[0]); err != nil {
			return err
		}
	}
	f.ratio("from its disk", again, "first boot", first)
	return nil
}
