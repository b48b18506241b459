package jail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/shape"
	"emujail/jailsetup/spawn"
)

// Kinds of undo that are this package's own.
const (
	kindGiven = "given" // data: the directory
	kindDoors = "doors" // data: the vnode
)

// Files of a given directory, besides the sockets that the supervisor binds.
const (
	confName     = "jail.conf"
	programsName = "bin"
)

// Given is the step that makes the directory that the jail sees, read-only, at
// /run/emulab: its settings now, its sockets by [Doors], its programs by a
// mount.
type Given struct {
	Dir  string
	Conf []byte
}

// String implements [plan.Step].
func (g Given) String() string {
	return fmt.Sprintf("make %s, the jail's /run/emulab, with its settings", g.Dir)
}

// Undo implements [plan.Step].
func (g Given) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo(kindGiven, g.Dir)
	return []plan.Undo{u}, err
}

// Do implements [plan.Step].
func (g Given) Do(context.Context, *plan.State) error {
	// Nobody on the host but root reaches the sockets (T10): the directory
	// above is closed, the one that the jail sees is open.
	if err := os.MkdirAll(filepath.Dir(g.Dir), 0o700); err != nil {
		return err
	}
	for _, d := range [...]string{g.Dir, filepath.Join(g.Dir, programsName)} {
		if err := makeOpen(d); err != nil {
			return err
		}
	}
	conf := filepath.Join(g.Dir, confName)
	if err := os.WriteFile(conf, g.Conf, 0o644); err != nil {
		return err
	}
	return os.Chmod(conf, 0o644)
}

func makeOpen(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// BindSuffix ends the name that a socket has while it is being made.
const BindSuffix = ".new"

// removeGiven is the deed of [kindGiven]. It removes what the supervisor and
// [Given] have put there, by name.
func removeGiven(dir string) error {
	var errs []error
	for _, name := range [...]string{
		confName, TmccSocket, TmccSocket + BindSuffix, ConsoleSocket, ConsoleSocket + BindSuffix,
		EventsSocket + BindSuffix, programsName, "",
	} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// The two sockets in a given directory; [EventsSocket] is a third.
const (
	TmccSocket    = "tmcc"
	ConsoleSocket = "console"
)

// Doors is the step that opens the jail's two sockets and tells the proxy
// whose they are, before anybody is inside.
type Doors struct {
	VNode     string
	Dir       string // the given directory
	CgroupDir string // who lives there may speak
	Hands     Hands
}

// Hands are what the supervisor does for a plan: it holds the sockets.
type Hands struct {
	// Open binds the vnode's sockets in dir and hands the proxy its own; cgroup
	// is the id of the cgroup directory whose processes may use them.
	Open func(ctx context.Context, vnode, dir string, cgroup uint64) error
	// Close takes the sockets away and cuts what is open over them. It bears a
	// vnode that has none.
	Close func(ctx context.Context, vnode string) error
	// Events are the event hub's.
	Events EventHands
	// Later has something done beside everything else; the supervisor waits for
	// its end. Nil: nothing is.
	Later func(func())
	// Shapes are the keeper's of the links.
	Shapes shape.Hands
}

// String implements [plan.Step].
func (d Doors) String() string {
	return fmt.Sprintf("open sockets %s and %s in %s, hand the first to the proxy", TmccSocket, ConsoleSocket, d.Dir)
}

// Undo implements [plan.Step].
func (d Doors) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo(kindDoors, d.VNode)
	return []plan.Undo{u}, err
}

// Do implements [plan.Step].
func (d Doors) Do(ctx context.Context, _ *plan.State) error {
	id, err := limit.ID(d.CgroupDir)
	if err != nil {
		return err
	}
	return d.Hands.Open(ctx, d.VNode, d.Dir, id)
}

// launch is the first process between [Spawn] and [Go].
type launch struct {
	jail   *spawn.Jail
	failed error // why there is none
	gone   bool  // it has been let go
}

// abort ends a first process that was never let go.
func (l *launch) abort() {
	if l.jail != nil && !l.gone {
		_ = l.jail.Abort() // its exit status says only that it was aborted
	}
}

// readyLaunch starts a jailspawn ahead: what it costs is over by [Spawn].
func readyLaunch(program string) *launch {
	l := &launch{}
	l.jail, l.failed = spawn.Ready(program)
	return l
}

// Open is the step that has the disk mounted beside what follows, by jailspawn and
// for it alone; [Spawn] shows it to the jail. It needs no undo: the mount goes with
// jailspawn, and that with this process.
type Open struct {
	Image  string
	launch *launch
}

// String implements [plan.Step].
func (o Open) String() string { return "begin to mount disk " + o.Image }

// Undo implements [plan.Step].
func (o Open) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (o Open) Do(context.Context, *plan.State) error {
	if o.launch.failed != nil {
		return o.launch.failed
	}
	return o.launch.jail.Open(spawn.Disk{Image: o.Image})
}

// Spawn is the step that has the jail's first process started, in its
// namespaces and cgroup, and its file system mounted. It doesn't wait: the steps
// up to [Started] are done meanwhile. The process waits for [Go].
type Spawn struct {
	Config spawn.Config
	launch *launch
}

// String implements [plan.Step]. It says what will be mounted, in lines of
// their own.
func (s Spawn) String() string {
	text := fmt.Sprintf("start %s as stage 0 of %s: own user, pid, net, mount, uts, ipc and cgroup namespaces, ids from %d, host name %s",
		filepath.Base(s.Config.Injail), s.Config.VNode, s.Config.Layout.IDBase, s.Config.Hostname)
	for _, line := range s.Config.Layout.Lines() {
		text += "\n      " + line
	}
	return text
}

// Undo implements [plan.Step].
func (s Spawn) Undo() ([]plan.Undo, error) { return killUndo(s.Config.CgroupDir) }

// Do implements [plan.Step].
func (s Spawn) Do(context.Context, *plan.State) error { return s.launch.jail.Start(s.Config) }

// Started is the step that waits until the first process is there, for those
// that need its namespaces.
type Started struct {
	VNode  string
	launch *launch
}

// String implements [plan.Step].
func (s Started) String() string { return "wait until there is a process as stage 0 of " + s.VNode }

// Undo implements [plan.Step]: [Spawn] has it.
func (s Started) Undo() ([]plan.Undo, error) { return nil, nil }

// Do implements [plan.Step].
func (s Started) Do(ctx context.Context, st *plan.State) error {
	j := s.launch.jail
	if err := j.AwaitStarted(ctx); err != nil {
		s.launch.gone = true // it has been reaped
		return err
	}
	st.PID, st.PidFD, st.UserNS, st.PIDNS, st.NetNS = j.PID, j.PidFD, j.UserNS, j.PIDNS, j.NetNS
	return nil
}

// Go is the step that lets the first process become the jail's init.
type Go struct {
	CgroupDir string
	Stage0    json.RawMessage
	launch    *launch
}

// RunInit is the step of a trace with which phase one ends.
const RunInit = "lock the mounts, drop capabilities, load the system call filter, run injail as PID 1"

// String implements [plan.Step].
func (g Go) String() string { return RunInit }

// Undo implements [plan.Step]: the way back begins with the end of all
// processes, so that links and mounts go with them.
func (g Go) Undo() ([]plan.Undo, error) { return killUndo(g.CgroupDir) }

// Do implements [plan.Step].
func (g Go) Do(ctx context.Context, _ *plan.State) error {
	g.launch.gone = true
	return g.launch.jail.Go(ctx, g.Stage0)
}

func killUndo(cgroupDir string) ([]plan.Undo, error) {
	u, err := plan.NewUndo(limit.KindKill, cgroupDir)
	return []plan.Undo{u}, err
}
