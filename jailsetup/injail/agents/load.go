package agents

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"emujail/jailsetup/injail/progagent"
	"emujail/jailsetup/injail/trafgen"
	"emujail/jailsetup/injail/watchdog"
	"emujail/protocol"
	"emujail/tmcc/cache"
	"emujail/tmcc/client"
)

// Times without a byte after which a question is given up (jail.md §3.9).
const (
	streamTimeout   = 30 * time.Second
	datagramTimeout = 3 * time.Second
)

// open makes the agents as the configuration says.
func (a *agents) open() (err error) {
	if err := a.connect(); err != nil {
		return err
	}
	a.programs = progagent.New(progagent.Options{Etc: filepath.Join(a.paths.Root, "/etc"), LogDir: a.paths.Logs,
		Logger: a.log, Finished: a.finished})
	if a.generators, err = trafgen.New(nil, trafgen.Options{LogDir: a.paths.Logs, Logger: a.log}); err != nil {
		return err
	}
	if err := a.load(); err != nil {
		return err
	}
	opt := watchdog.Options{Ask: a.stream.Ask, AskUDP: a.datagram.Ask, Logger: a.log, Update: a.update,
		Usage: a.usage, HostKeys: a.hostKeys, SetRootHash: a.setRootHash}
	// The first intervals come from the cache; later ones are asked for.
	if reply, err := a.cached("watchdoginfo"); err == nil && len(reply) > 0 {
		info, err := protocol.ParseWatchdogInfo(reply)
		if err != nil {
			a.log.Warn("agents: watchdoginfo: " + err.Error())
		} else {
			opt.Info = &info
		}
	}
	a.dog = watchdog.New(opt)
	return nil
}

// connect makes the two clients of the proxy's socket.
func (a *agents) connect() error {
	socket, err := cache.ProxyPath(a.paths.Boot)
	if err != nil {
		return err
	}
	if socket == "" {
		socket = a.paths.TMCD
	} else {
		socket = filepath.Join(a.paths.Root, socket)
	}
	opt := client.Options{Network: client.Unix, UnixPath: socket, Timeout: streamTimeout,
		Identity: protocol.Request{Version: protocol.Version}}
	if a.stream, err = client.New(opt); err != nil {
		return err
	}
	opt.Timeout, opt.RefusedWait, opt.Identity.UseUDP = datagramTimeout, -1, true
	a.datagram, err = client.New(opt)
	return err
}

// load takes the jail's configuration over, at the start and at a RELOAD.
// Records that can't be used are logged, the others work.
func (a *agents) load() error {
	text := map[string][]byte{}
	for _, command := range []string{"trafgens", "programs", "userenv"} {
		reply, err := a.cached(command)
		if err != nil {
			return err
		}
		text[command] = reply
	}
	generators, err1 := protocol.ParseTrafGens(text["trafgens"])
	programs, err2 := protocol.ParsePrograms(text["programs"])
	env, err3 := protocol.ParseUserEnv(text["userenv"])
	err4 := a.generators.Update(generators)
	err5 := a.programs.Update(programs, env)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		a.log.Warn("agents: records left out: " + err.Error())
	}
	return a.loadKey()
}

func (a *agents) cached(command string) ([]byte, error) {
	c, err := cache.Open(a.paths.Boot, "")
	if err != nil {
		return nil, err
	}
	reply, _, err := c.Read(command)
	return reply, err
}

func (a *agents) loadKey() error {
	experiment, err := experiment(a.paths.Boot)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(a.paths.Boot, "eventkey"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.guard.Experiment, a.guard.Key = experiment, key
	return nil
}

// experiment makes pid/eid of the nickname file's vname.eid.pid.
func experiment(boot string) (string, error) {
	text, err := os.ReadFile(filepath.Join(boot, "nickname"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	parts := strings.Split(strings.TrimSpace(string(text)), ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("%s: want vname.eid.pid, got %q", filepath.Join(boot, "nickname"), text)
	}
	return parts[2] + "/" + parts[1], nil
}

// startup is the name of the start-up command's outputs in Paths.Logs.
const startup = "startupcmd"

// failedStatus is what tmcd is told when the start-up command couldn't be run
// at all (jail.md §3.8).
const failedStatus = 666

// up is told once the node is up: the start-up command runs, once a boot.
func (a *agents) up() error {
	reply, err := a.cached("startupcmd")
	if err != nil || len(reply) == 0 {
		return err
	}
	cmd, err := protocol.ParseStartupCmd(reply)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(a.paths.Ran, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return a.programs.RunOnce(startup, progagent.Command{User: cmd.UID, Text: cmd.Command})
}

// finished passes on how a program ended: of the start-up command to tmcd, of
// others to the hub.
func (a *agents) finished(o progagent.Outcome) {
	if o.Name != startup {
		a.complete(o)
		return
	}
	status := o.Exit
	if o.Error != "" {
		status = failedStatus
	}
	ctx, cancel := context.WithTimeout(a.ctx, streamTimeout)
	defer cancel()
	if err := a.stream.StartStatus(ctx, status); err != nil {
		a.log.Warn("agents: startstatus: "+err.Error(), "status", status)
	}
}
