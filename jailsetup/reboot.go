package main

import (
	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newRebootCommand(s *settings) *cobra.Command {
	return newChangeCommand(s, change{
		verb: supervise.VerbReboot, traced: true,
		short: "halt a vnode's jail and boot it again",
		long:  `reboot is halt, then boot: the disk is kept and all configuration is asked anew.`,
	})
}
