// Command injail is the inside half of a jail: its PID 1, and the small
// programs that belong to it, in one static file that the host bind-mounts
// read-only at /run/emulab/bin (spec/jail.md §3.1).
//
//	injail                 as PID 1: boot the jail by /etc/rc and look after it
//	injail CMD [ARG…]      as PID 1: run one command, then end the jail
//	injail stage0 …        before PID 1, started by jailspawn only
//	injail rc ACTION       the configuration inside (boot, shutdown, …)
//	injail update          ask tmcd again, while the jail runs
//	injail agents          the traffic generators and other agents
//	injail event …         tell an agent of this jail something
//	injail logrotate …     the hourly rotation of the jail's logs
//	injail cat …           logs, read with care, for "jailsetup logs"
//	injail walls           what the jail's root can't do, tried, for "jailsetup verify"
//	reboot, halt, poweroff, shutdown      links to injail
//
// It isn't an init system: nothing is ordered, and nothing but the agents is
// started again when it is killed (keep_linux.go). It starts one shell script, collects the dead, carries the sessions of "jailsetup
// enter", and ends everything in bounded time when told to.
//
// This program is executed twice on the way to a running jail and stays in its
// memory, so it links little. What needs HTTP and archives is the command
// injail-rc beside it, which "rc", "update", "agents" and "event" become.
//
// To read on: init_linux.go is PID 1's life in order; prepare_linux.go what
// it writes first; ending_linux.go how everything ends; applets_linux.go the
// four words that ask for it, initctl_linux.go the older way to say them.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"emujail/jailsetup/injail/stage0"
)

// Exit codes. As PID 1 there are also the ones of ending_linux.go.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: injail                       as PID 1: boot the jail (/etc/rc)
       injail [-v NAME] COMMAND…    as PID 1: run one command, then end the jail
       injail rc boot|shutdown|reconfig|reset
       injail update [-i] [-l] [-t] [-a] [-r]
       injail agents [OPTION]…
       injail event OBJECT ACTION [KEY=VALUE]…
       injail logrotate [-size BYTES] [-keep N] FILE…
       injail cat [-f] [-n LINES] PATH…
       injail walls
       injail -h | -help            this text
       reboot | halt | poweroff [-f]
       shutdown [-h|-P|-H|-r] [now|+MINUTES|HH:MM]

injail is the first process of an Emulab jail. The host starts it; inside, only
the other forms are of use. It reads TMCCVNODEID from its environment and its
settings from /run/emulab/jail.conf.
`

func main() { os.Exit(run(os.Args)) }

// run is the table of what this file is called for.
func run(args []string) int {
	if a, ok := appletNamed(filepath.Base(args[0])); ok {
		return a(args[1:])
	}
	word := ""
	if len(args) > 1 {
		word = args[1]
	}
	switch word {
	case "stage0":
		return stage0.Main(args[2:])
	case "rc", "update", "agents", "event":
		return become(args[1:])
	case "logrotate":
		return rotateMain(args[2:])
	case "cat":
		return catMain(args[2:])
	case "walls":
		return wallsMain()
	case "-h", "-help", "--help", "help":
		fmt.Print(usage)
		return exitOK
	}
	if os.Getpid() != 1 {
		return usageError(os.Stderr, fmt.Sprintf("unknown %q; without a word injail must be PID 1", word))
	}
	return initMain(args[1:])
}

func usageError(w io.Writer, why string) int {
	fmt.Fprintf(w, "injail: %s\n%s", why, usage)
	return exitUsage
}

// become executes injail-rc, which lies beside this program.
func become(args []string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "injail:", err)
		return exitFailed
	}
	path := filepath.Join(filepath.Dir(self), "injail-rc")
	err = syscall.Exec(path, append([]string{path}, args...), os.Environ())
	fmt.Fprintf(os.Stderr, "injail: exec %s: %v (it is installed beside injail)\n", path, err)
	return exitFailed
}
