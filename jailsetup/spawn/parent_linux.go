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

// Deadlines of what is over at once unless something is wrong: what is said
// fits into a buffer or is read at once; who is given up ends, and so does
// whoever holds its standard error.
const (
	sayTimeout = 10 * time.Second
	endTimeout = 2 * time.Second
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
	config  *os.File // to its standard input
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
	defer theirs.Close()
	input, config, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	defer input.Close()
	j := &Jail{conn: ours, config: config, stderr: &tail{}}
	j.program = exec.Command(program)
	j.program.Stdin, j.program.Stderr = input, j.stderr
	j.program.ExtraFiles = []*os.File{theirs}
	j.program.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	j.program.WaitDelay = endTimeout
	if err := j.program.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), config.Close(), ours.Close())
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
	if err := j.config.SetWriteDeadline(time.Now().Add(sayTimeout)); err != nil {
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
	if err := j.end(goTimeout); err != nil {
		return fmt.Errorf("jailspawn: %w%s", err, j.stderr)
	}
	return nil
}

// Abort gives the jail up: both processes end by the closed socket, and a
// jailspawn that was told nothing by its closed input.
func (j *Jail) Abort() error { return j.end(endTimeout) }

// end closes both ways to jailspawn and waits for its end; one that doesn't end
// by itself within that time is killed. Stage 0, if it waits yet, sees its
// socket close.
func (j *Jail) end(within time.Duration) error {
	j.config.Close()
	j.conn.Close()
	kill := time.AfterFunc(within, func() { j.program.Process.Kill() })
	defer kill.Stop()
	return j.program.Wait()
}

// fail ends jailspawn and says what it said last.
func (j *Jail) fail(err error) error {
	_ = j.end(endTimeout) // its exit status is in the state
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
