// Command jailspawn starts the first process of a jail for jailsetup, which
// talks to it over descriptor 3. It links little so that its page tables, which
// every clone copies, stay small. It is of no use to a person.
package main

import (
	"os"

	"emujail/jailsetup/spawn"
)

func main() { os.Exit(spawn.Main()) }
