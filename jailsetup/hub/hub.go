package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"emujail/jailsetup/event"
)

// Reasons for which the operator's words are refused.
var (
	ErrExperiment = errors.New("no such experiment on this host")
	ErrObject     = errors.New("no agent has an object of that name")
	ErrNobody     = errors.New("none of its agents is connected")
)

// Hub carries the events of this host's experiments. Its methods may be called
// from several goroutines.
type Hub struct {
	dir  string
	log  *slog.Logger
	wake chan struct{} // the schedule has changed
	work sync.WaitGroup

	mu          sync.Mutex
	experiments map[string]*experiment
	doors       map[string]*door // by vnode
	sender, seq uint64           // of what we sign
	ended       bool
}

// experiment is one that has jails here, or a schedule.
type experiment struct {
	record
	subscribers map[*subscriber]bool
	started     time.Time // the experiment's time 0; zero: not yet
	notBefore   time.Time // agents dial again after a new supervisor: nothing until then
}

// New makes a hub that keeps its files in dir, which only root may read: they
// hold keys. What an earlier hub left there is taken over.
func New(dir string, log *slog.Logger) (*Hub, error) {
	h := &Hub{
		dir: dir, log: log, wake: make(chan struct{}, 1),
		experiments: map[string]*experiment{}, doors: map[string]*door{}, sender: rand.Uint64(),
	}
	return h, h.load()
}

// experimentName is pid/eid as boss has them.
var experimentName = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_]{0,63}/[A-Za-z0-9_][-A-Za-z0-9_]{0,63}$`)

// CheckExperiment says what is wrong with an experiment's name.
func CheckExperiment(name string) error {
	if !experimentName.MatchString(name) {
		return fmt.Errorf("experiment %q: want PROJECT/EXPERIMENT, such as jails/demo", name)
	}
	return nil
}

// CheckName is [CheckExperiment] for a name that may be the second half alone.
func CheckName(name string) error {
	if !strings.Contains(name, "/") {
		if CheckExperiment("x/"+name) == nil {
			return nil
		}
	}
	return CheckExperiment(name)
}

var (
	objectName = regexp.MustCompile(`^[-A-Za-z0-9_.]{1,128}$`)
	actionName = regexp.MustCompile(`^[A-Z][A-Z_]{0,31}$`)
)

// maxArgs bounds the arguments of one event.
const maxArgs = 16 << 10

// checkWords says what is wrong with an event's words, whoever says them.
func checkWords(object, action, args string) error {
	switch {
	case !objectName.MatchString(object):
		return fmt.Errorf("object %q: want letters, digits or one of - . _", object)
	case !actionName.MatchString(action):
		return fmt.Errorf("action %q: want a word such as START", action)
	case len(args) > maxArgs:
		return fmt.Errorf("arguments of %d bytes: at most %d", len(args), maxArgs)
	case strings.IndexFunc(args, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0:
		return errors.New("arguments: a control character")
	}
	return nil
}

// FullName is PROJECT/EXPERIMENT of an experiment that may be given by its
// second half alone, if no other of this host is called so. Whether there is
// one of a full name isn't asked.
func (h *Hub) FullName(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for full := range h.experiments {
		if strings.HasSuffix(full, "/"+name) {
			found = append(found, full)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s: %w", name, h.none())
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s is more than one experiment: %s (name it PROJECT/EXPERIMENT)", name, strings.Join(found, ", "))
}

// none is [ErrExperiment] with those that there are. The lock is held.
func (h *Hub) none() error {
	names := slices.Sorted(maps.Keys(h.experiments))
	if len(names) == 0 {
		return fmt.Errorf("%w (no jail runs here)", ErrExperiment)
	}
	return fmt.Errorf("%w (there are: %s)", ErrExperiment, strings.Join(names, ", "))
}

// find returns an experiment that is known. The lock is held.
func (h *Hub) find(name string) (*experiment, error) {
	if err := CheckExperiment(name); err != nil {
		return nil, err
	}
	x := h.experiments[name]
	if x == nil {
		return nil, fmt.Errorf("%s: %w", name, h.none())
	}
	return x, nil
}

// take returns the experiment, which is new if it isn't known. The lock is held.
func (h *Hub) take(name string) *experiment {
	x := h.experiments[name]
	if x == nil {
		x = &experiment{record: record{Experiment: name}, subscribers: map[*subscriber]bool{}}
		h.experiments[name] = x
	}
	return x
}

// Send tells an object, or a group, what the operator wants, and returns the
// vnodes that it was handed to. It doesn't say that they obeyed.
func (h *Hub) Send(name, object, action, args string) ([]string, error) {
	if err := checkWords(object, action, args); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	x, err := h.find(name)
	if err != nil {
		return nil, err
	}
	if len(x.subscribers) == 0 {
		return nil, fmt.Errorf("%s: %w", name, ErrNobody)
	}
	e := event.Event{Object: object, Action: action, Args: args}
	if err := x.checkEvent(e); err != nil {
		return nil, err
	}
	to, err := h.publish(x, e, nil)
	if err == nil && len(to) == 0 {
		err = fmt.Errorf("%s in %s: %w (it has %s)", object, name, ErrObject, x.objects())
	}
	return to, err
}

// Watch hands every event of the experiment to each until ctx ends or each
// fails. Who is too slow for them is told so and left.
func (h *Hub) Watch(ctx context.Context, name string, each func(event.Event) error) error {
	s := newSubscriber("", nil)
	s.all = true
	h.mu.Lock()
	x, err := h.find(name)
	if err == nil {
		x.subscribers[s] = true
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	defer h.leave(x, s)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.gone:
			return errors.New("too slow: events were lost")
		case line := <-s.queue:
			s.took(line)
			e, err := event.Parse(line)
			if err != nil {
				return err
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

// Forget drops an experiment that has no jail here any more, with its schedule.
func (h *Hub) Forget(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.experiments[name]
	if x == nil || h.inhabited(name) {
		return nil
	}
	delete(h.experiments, name)
	if x.watched() { // its watcher sees what comes next
		h.take(name).subscribers = x.subscribers
	}
	return h.remove(name)
}

// watched tells whether an operator watches.
func (x *experiment) watched() bool {
	for s := range x.subscribers {
		if s.all {
			return true
		}
	}
	return false
}

// inhabited tells whether a jail of the experiment runs. The lock is held.
func (h *Hub) inhabited(name string) bool {
	for _, d := range h.doors {
		if d.experiment == name {
			return true
		}
	}
	return false
}

// Shutdown closes every socket and waits until nothing of the hub runs but
// [Hub.Run]. What is on disk stays, for the next hub.
func (h *Hub) Shutdown() error {
	h.mu.Lock()
	h.ended = true // what is due from now on is the next hub's
	var doors []*door
	for vnode, d := range h.doors {
		doors = append(doors, d)
		delete(h.doors, vnode)
	}
	h.mu.Unlock()
	var errs []error
	for _, d := range doors {
		errs = append(errs, d.close())
	}
	h.work.Wait()
	return errors.Join(errs...)
}
