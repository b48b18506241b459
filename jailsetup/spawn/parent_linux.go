package spawn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Deadlines of the two halves: a healthy jail needs some ten milliseconds.
const (
	startTimeout = 20 * time.Second
	goTimeout    = 30 * time.Second
)

// Jail is a first process that waits for its "go".
type Jail struct {
	PID    int
	PidFD  *os.File
	UserNS *os.File
	PIDNS  *os.File
	NetNS  *os.File

	conn    *net.UnixConn
	program *exec.Cmd
	config  io.WriteCloser // its standard input
	stderr  *tail
}

// Ready runs program, a jailspawn, which does nothing before [Jail.Open]: its
// own start-up goes on beside what comes before. The caller ends it by
// [Jail.Abort], or in the end by [Jail.Go]; it ends with this process, too.
func Ready(program string) (*Jail, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	j := &Jail{conn: ours, stderr: &tail{}}
	j.program = exec.Command(program)
	if j.config, err = j.program.StdinPipe(); err != nil {
		return nil, errors.Join(err, theirs.Close(), ours.Close())
	}
	j.program.Stderr = j.stderr
	j.program.ExtraFiles = []*os.File{theirs}
	j.program.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	err = j.program.Start()
	theirs.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), ours.Close())
	}
	return j, nil
}

// Open has it begin to mount the disk, nowhere in a tree: the mount goes with it
// unless [Jail.Start] follows.
func (j *Jail) Open(d Disk) error { return j.tell(d) }

// tell writes to its input. One that has given up doesn't hear us, but has said
// why.
func (j *Jail) tell(v any) error {
	input, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := j.config.Write(input); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("tell jailspawn what to do: %w", err)
	}
	return nil
}

// Start has it start the jail's first process, and doesn't wait for that:
// [Jail.AwaitStarted] does.
func (j *Jail) Start(c Config) error {
	return errors.Join(j.tell(c), j.config.Close())
}

// AwaitStarted returns once the jail's first process exists; its mounts are
// being made meanwhile. With an error nothing is left to be ended.
func (j *Jail) AwaitStarted(ctx context.Context) error {
	if err := j.awaitStarted(ctx); err != nil {
		return j.fail(err)
	}
	return nil
}

func (j *Jail) awaitStarted(ctx context.Context) error {
	m, files, err := receive(j.conn, deadline(ctx, startTimeout))
	switch {
	case err != nil:
		return err
	case m.Error != "":
		closeAll(files)
		return errors.New(m.Error)
	case m.Started == 0 || len(files) != maxFiles:
		closeAll(files)
		return fmt.Errorf("jailspawn said neither started nor failed (%d descriptors)", len(files))
	}
	j.PID = m.Started
	j.PidFD, j.UserNS, j.PIDNS, j.NetNS = files[0], files[1], files[2], files[3]
	return nil
}

// Go lets the first process go with stage 0's message and returns once it runs
// its own program. It closes nothing but the conversation: the descriptors
// stay the caller's.
func (j *Jail) Go(ctx context.Context, stage0 json.RawMessage) error {
	said := send(j.conn, message{Go: stage0})
	// A jailspawn that has given up meanwhile doesn't hear us, but has said why.
	m, _, err := receive(j.conn, deadline(ctx, goTimeout))
	switch {
	case err != nil && said != nil:
		return j.fail(fmt.Errorf("say go: %w", said))
	case err != nil:
		return j.fail(err)
	case m.Error != "":
		return j.fail(errors.New(m.Error))
	case !m.Running:
		return j.fail(errors.New("jailspawn said neither running nor failed"))
	}
	j.conn.Close()
	if err := j.program.Wait(); err != nil {
		return fmt.Errorf("jailspawn: %w%s", err, j.stderr)
	}
	return nil
}

// Abort gives the jail up: both processes end by the closed socket, and a
// jailspawn that was told nothing by its closed input.
func (j *Jail) Abort() error {
	j.config.Close()
	j.conn.Close()
	return j.program.Wait()
}

// fail ends jailspawn and says what it said last.
func (j *Jail) fail(err error) error {
	j.config.Close()
	j.conn.Close()
	kill := time.AfterFunc(2*time.Second, func() { j.program.Process.Kill() })
	defer kill.Stop()
	j.program.Wait()
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("jailspawn ended early (%s)", j.program.ProcessState)
	}
	return fmt.Errorf("%w%s", err, j.stderr)
}

func deadline(ctx context.Context, most time.Duration) time.Time {
	t := time.Now().Add(most)
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		return d
	}
	return t
}

// tail keeps the first bytes written to it, for an error message.
type tail struct{ buf bytes.Buffer }

const maxTail = 2048

func (t *tail) Write(p []byte) (int, error) {
	if room := maxTail - t.buf.Len(); room > 0 {
		t.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// String is empty, or the kept bytes on a line with a separator before them.
func (t *tail) String() string {
	s := strings.TrimSpace(t.buf.String())
	if s == "" {
		return ""
	}
	return " [" + strings.ReplaceAll(s, "\n", "; ") + "]"
}
