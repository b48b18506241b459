// Command injail-rc is the part of injail that links HTTP, archives and TLS:
// the configuration of a jail from inside, and its agents. It lies beside
// injail in /run/emulab/bin and isn't called by name: `injail rc`, `injail
// update`, `injail agents` and `injail event` become it.
//
//	injail rc boot|shutdown|reconfig|reset     package steps
//	injail update                              package steps, in a node that is up
//	injail agents                              package agents
//	injail event OBJECT ACTION [KEY=VALUE …]   package agents
package main

import (
	"fmt"
	"os"

	"emujail/jailsetup/injail/agents"
	"emujail/jailsetup/injail/steps"
)

const usage = `usage: injail rc boot|shutdown|reconfig|reset
       injail update [-i] [-l] [-t] [-a] [-r]
       injail agents [-root DIR] [-ready FD] [-detach]
       injail event OBJECT ACTION [KEY=VALUE ...]
       injail event -status
Each tells more with -h.
`

// exitUsage is the code of a wrong command line.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:])) }

// run is the table of words.
func run(args []string) int {
	word := ""
	if len(args) > 0 {
		word = args[0]
	}
	switch word {
	case "rc":
		return steps.Main(args[1:])
	case "update":
		return steps.UpdateMain(args[1:])
	case "agents":
		return agents.Main(args[1:])
	case "event":
		return agents.EventMain(args[1:])
	case "-h", "-help", "--help", "help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return exitUsage
}
