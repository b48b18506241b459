package main

import (
	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newHaltCommand(s *settings) *cobra.Command {
	return newChangeCommand(s, change{
		verb:  supervise.VerbHalt,
		short: "end a vnode's jail, keep its disk",
		long: `halt reports SHUTDOWN, lets the jail's init end its processes within the grace
(site file: grace), and takes away everything but the disk.`,
	})
}
