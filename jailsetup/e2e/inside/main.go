//go:build linux

// Command inside is what the tests put into a jail, to try there, as the
// jail's root, what no program of the jail does.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: inside NAME [ARG…]")
		os.Exit(2)
	}
}
