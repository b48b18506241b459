package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"emujail/jailsetup/hub"
	"emujail/jailsetup/removal"
)

// DefaultDir is where the one lab of a host keeps its files.
const DefaultDir = "/var/emulab/lab"

// Ports of a lab's tmcd and web server, on the control address.
const (
	tmcdPort = 7777
	webPort  = 8088
)

const (
	runTimeout   = 2 * time.Minute // for one call of a program
	startTimeout = 10 * time.Second
	lookInterval = 20 * time.Millisecond
)

// Lab is where a lab lies and which programs make it.
type Lab struct {
	Dir string // 0700; holds keys
	Bin string // tmcd-mock's directory
}

// ErrUp says that there is a lab already.
var ErrUp = errors.New("a lab is up already")

// errUp is [ErrUp] with what to do.
func (l Lab) errUp() error {
	if pid, err := l.mock(); err == nil && pid == 0 {
		return fmt.Errorf("%w, but its tmcd-mock isn't running (jailsetup down removes the lab)", ErrUp)
	}
	return fmt.Errorf("%w (jailsetup down removes it)", ErrUp)
}

// SitePath is the site file that leads jails to the lab.
func (l Lab) SitePath() string { return filepath.Join(l.Dir, "site.yaml") }

// Stores is where the projects' local stores lie: beside the lab, for they outlive it.
func (l Lab) Stores() string { return l.Dir + ".local" }

func (l Lab) manage() string  { return filepath.Join(l.Dir, "mock.sock") }
func (l Lab) pidFile() string { return filepath.Join(l.Dir, "mock.pid") }
func (l Lab) logPath() string { return filepath.Join(l.Dir, "tmcd-mock.log") }

// Exists tells whether there is a lab, whole or half made.
func (l Lab) Exists() bool {
	_, err := os.Stat(l.Dir)
	return err == nil
}

// Make makes the lab's certificates and its site file. The supervisor comes
// next, since it makes the address that tmcd listens on; then [Lab.Serve].
func (l Lab) Make(ctx context.Context, t Testbed) error {
	if l.Exists() {
		return l.errUp() // also of a testbed that can't have one
	}
	prefix, number, err := planOf(t.Addr)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(l.Dir, 0o700); errors.Is(err, fs.ErrExist) {
		return l.errUp() // another, that began at the same time
	} else if err != nil {
		return err
	}
	certs := filepath.Join(l.Dir, "certs")
	if _, err := l.run(ctx, "tmcd-mock", "pki", certs, "--server-name", "boss.emulab.test", "--server-ip", t.Addr.String()); err != nil {
		return err
	}
	text := fmt.Sprintf(`# Made by jailsetup up.
boss: %s
certificates: %s
state: %s
programs: %s
local: %s
control: {prefix: %s, number: %d}
host_ports: [tcp/%d]
web: http://%s
`, netip.AddrPortFrom(t.Addr, tmcdPort), certs, filepath.Join(l.Dir, "jails"), l.Bin, l.Stores(), prefix, number,
		webPort, netip.AddrPortFrom(t.Addr, webPort))
	return os.WriteFile(l.SitePath(), []byte(text), 0o600)
}

// planOf finds the control prefix in which the host's address is the address
// plan's: the .0 of its number's /24.
func planOf(a netip.Addr) (netip.Prefix, int, error) {
	for _, private := range [...]string{"172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"} {
		p := netip.MustParsePrefix(private)
		if !a.Is4() || !p.Contains(a) {
			continue
		}
		base, addr := p.Addr().As4(), a.As4()
		number := (int(addr[0])-int(base[0]))<<16 + (int(addr[1])-int(base[1]))<<8 + int(addr[2]) - int(base[2])
		if addr[3] == 0 && number >= 1 {
			return p, number, nil
		}
	}
	return netip.Prefix{}, 0, fmt.Errorf("host's control address %s: want the plan's, such as 172.16.1.0 (hosts: in the testbed file; its jails are .1 to .254)", a)
}

// Serve starts tmcd-mock with the file, which it goes on reading when it
// changes, and the files below webRoot, which may be empty.
func (l Lab) Serve(ctx context.Context, t Testbed, file, webRoot string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	args := []string{
		"serve", "--testbed", file, "--listen", netip.AddrPortFrom(t.Addr, tmcdPort).String(),
		"--pki", filepath.Join(l.Dir, "certs"), "--manage", l.manage(), "--store", filepath.Join(l.Dir, "reports.db"),
	}
	if webRoot != "" {
		if webRoot, err = filepath.Abs(webRoot); err != nil {
			return err
		}
		args = append(args, "--web", netip.AddrPortFrom(t.Addr, webPort).String(), "--web-root", webRoot)
	}
	log, err := os.OpenFile(l.logPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(l.Bin, "tmcd-mock"), args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	if err := os.WriteFile(l.pidFile(), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	ended := make(chan error, 1) // the goroutine outlives us, as tmcd-mock does: until we end it reaps
	go func() { ended <- cmd.Wait() }()
	return l.awaitMock(ctx, ended)
}

func (l Lab) awaitMock(ctx context.Context, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err := l.States(ctx); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("tmcd-mock ended (%w): %s (the whole: %s)", err, lastLine(l.logPath()), l.logPath())
		case <-ctx.Done():
			return fmt.Errorf("tmcd-mock doesn't begin to serve (see %s)", l.logPath())
		case <-time.After(lookInterval):
		}
	}
}

// lastLine is what a log ends with, for whoever reads an error.
func lastLine(path string) string {
	const most = 4096
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// States asks tmcd-mock for each node's state.
func (l Lab) States(ctx context.Context) (map[string]string, error) {
	out, err := l.run(ctx, "tmcd-mock", "show", "--json", "--manage", l.manage())
	if err != nil {
		return nil, err
	}
	return ReadStates([]byte(out))
}

// ReadStates reads what `tmcd-mock show --json` prints: each node's state, by
// its id.
func ReadStates(out []byte) (map[string]string, error) {
	var shown struct {
		Nodes []struct{ ID, State string }
	}
	if err := json.Unmarshal(out, &shown); err != nil {
		return nil, fmt.Errorf("tmcd-mock show: %w", err)
	}
	states := map[string]string{}
	for _, n := range shown.Nodes {
		states[n.ID] = n.State
	}
	return states, nil
}

// Schedules asks tmcd-mock what is planned in each experiment.
func (l Lab) Schedules(ctx context.Context) (map[string]hub.Schedule, error) {
	out, err := l.run(ctx, "tmcd-mock", "schedule", "--json", "--manage", l.manage())
	if err != nil {
		return nil, err
	}
	var shown struct {
		Experiments []struct {
			Experiment string `json:"experiment"`
			hub.Schedule
		} `json:"experiments"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		return nil, fmt.Errorf("tmcd-mock schedule: %w", err)
	}
	plans := map[string]hub.Schedule{}
	for _, x := range shown.Experiments {
		plans[x.Experiment] = x.Schedule
	}
	return plans, nil
}

// Removable wants that nothing is mounted among the lab's files; else the error
// is a [*removal.UseError].
func (l Lab) Removable() error { return removal.Unmounted(l.Dir) }

// Remove ends tmcd-mock and removes the lab's files, but for what people have left
// in local stores. Jails and supervisor must be gone. It bears a lab that is half
// made, and none. One that isn't [Removable] stays as it is.
func (l Lab) Remove() error {
	if err := l.Removable(); err != nil {
		return err
	}
	if err := l.endMock(); err != nil {
		return err
	}
	// First the site file: without it the lab is half made, and who is killed here
	// leaves one that can be removed without certificates.
	if info, err := os.Lstat(l.Dir); err == nil && info.IsDir() {
		if err := removal.Tree(l.SitePath()); err != nil {
			return err
		}
	}
	if err := removal.Tree(l.Dir); err != nil {
		return err
	}
	err := os.Remove(l.Stores())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EBUSY) {
		return nil
	}
	return err
}

// mock is the recorded process if it is still tmcd-mock, 0 if it isn't. The
// error is [fs.ErrNotExist] if none was recorded yet.
func (l Lab) mock() (pid int, err error) {
	data, err := os.ReadFile(l.pidFile())
	if err != nil {
		return 0, err
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(data))); err != nil {
		return 0, err
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || strings.TrimSuffix(filepath.Base(exe), " (deleted)") != "tmcd-mock" {
		return 0, nil
	}
	return pid, nil
}

// endMock ends tmcd-mock if it runs.
func (l Lab) endMock() error {
	pid, err := l.mock()
	if errors.Is(err, fs.ErrNotExist) || err == nil && pid == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end tmcd-mock: %w", err)
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(lookInterval) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
	}
	return fmt.Errorf("tmcd-mock (process %d) doesn't end", pid)
}

// programError is a failed program's last words.
type programError struct {
	said  string
	cause error // an [exec.ExitError], or why it couldn't run to its end
}

// Error implements error: the words say what a reader needs.
func (e programError) Error() string { return e.said }

// Unwrap implements errors' chain.
func (e programError) Unwrap() error { return e.cause }

// run runs one of our programs and makes its words the error.
func (l Lab) run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(l.Bin, name), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			return "", programError{said, err}
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(out), nil
}
