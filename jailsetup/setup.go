package main

import (
	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newSetupCommand(s *settings) *cobra.Command {
	return newChangeCommand(s, change{
		verb: supervise.VerbSetup, traced: true,
		short: "build a vnode's jail anew, whatever there was",
		long: `setup is kill, then boot: what there is of the vnode is ended and removed, its disk
with all that users have written on it too, and a new jail is built and started.
It is what vnodesetup does without a verb. boot and reboot keep the disk.

tmcd is asked first: as long as it says nothing, nothing is removed. A vnode that
it says is free is only removed, with exit code 4.`,
	})
}
