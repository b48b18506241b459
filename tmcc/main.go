// Command tmcc asks the testbed's master control daemon, tmcd, one question and
// prints the answer; started with -proxy it is the door through which jails
// ask.
//
//	tmcc status                                  in a jail or on a host
//	tmcc -n pcvm1-1 jailconfig                   a host, about one of its jails
//	tmcc -proxy /run/p/tmcc -n pcvm1-1           be that jail's proxy
//
// It takes the place of three programs of Emulab's: the binary, the wrapper
// with its cache, and the library's look at the file proxypath. Options,
// requests and exit codes are theirs: 0 for any answer, an empty one too; 1 for
// a wrong command line; 255 for all else. Where they said nothing, tmcc says on
// standard error what was asked, of whom, and why there may be no answer.
//
// The way of a request, a file a step: options/ reads the line; ask.go decides
// between bossinfo.go, cached.go and the wire; route.go finds out whom to ask
// and how; request.go puts the request together; package client sends it;
// json.go and silence.go look at what came. proxymode.go hands over to package
// proxy; tls.go and it are left out of a program that is built with the tag lean
// (lean.go).
//
// See docs/spec/protocol.md §0 and docs/design.md §5.
package main

import (
	"context"
	"fmt"
	"os"

	"emujail/tmcc/options"
)

// Exit codes of the original.
const (
	exitOK     = 0
	exitUsage  = 1
	exitFailed = 255
)

func main() { os.Exit(run(context.Background(), thisMachine(), os.Args[1:])) }

// run is the command on machine m; it returns the exit code.
func run(ctx context.Context, m machine, args []string) int {
	line, err := options.Parse(args)
	if err != nil {
		fmt.Fprintf(m.stderr, "tmcc: %v\n%s", err, options.Usage())
		return exitUsage
	}
	switch {
	case line.Help:
		_, err = fmt.Fprint(m.stdout, options.Help())
	case line.ShowVersion:
		_, err = fmt.Fprintln(m.stdout, version())
	case line.Proxy:
		return proxyMode(ctx, m, line)
	default:
		err = m.ask(ctx, line)
	}
	if err != nil {
		fmt.Fprintf(m.stderr, "tmcc: %s\n", printable(err.Error()))
		return exitFailed
	}
	return exitOK
}
