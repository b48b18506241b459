//go:build linux

// Command inside is what the tests put into a jail, to try there, as the
// jail's root, what no program of the jail does.
package main

import (
	"fmt"
	"os"
)

// attempts prints what came of each, for the test to compare.
func attempts() map[string]func(args []string) error {
	return map[string]func(args []string) error{
		"bit":     tryBit,
		"ports":   tryPorts,
		"calls":   tryCalls,
		"escape":  tryEscape,
		"find":    tryFind,
		"connect": tryConnect,
		"nest":    tryNest,
		"ask":     tryAsk,
		"listen":  tryListen,
		"say":     say,
		"flood":   flood,
		"rob":     tryRob,
		"exhaust": tryExhaust,
		"spawn":   trySpawn,
		"spin":    trySpin,
		"sysv":    trySysV,
		"drop":    tryDrop,
		"answer":  tryAnswer,
		"call":    tryCall,
	}
}

func main() {
	if len(os.Args) < 2 || attempts()[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: inside NAME [ARG…]")
		os.Exit(2)
	}
	if err := attempts()[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}
