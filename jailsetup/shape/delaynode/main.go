// Command delaynode delays, reorders and loses frames of shaped links. The
// supervisor starts it, one a host, with a control socket as descriptor 3; it is
// of no use alone. See package delay.
package main

import (
	"fmt"
	"os"

	"emujail/jailsetup/shape/delay"
)

func main() {
	if err := delay.Main(); err != nil {
		fmt.Fprintln(os.Stderr, "delaynode:", err)
		os.Exit(1)
	}
}
