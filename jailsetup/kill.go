package main

import (
	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newKillCommand(s *settings) *cobra.Command {
	return newChangeCommand(s, change{
		verb:  supervise.VerbKill,
		short: "end a vnode's jail and remove everything of it",
		long: `kill is halt, then the removal of the disk. Nothing of the vnode is left on this
host, but for what its users have put into their project's directories, such as
its local store (/local/PROJECT). A vnode that isn't there is success.

Where somebody on the host has mounted something among the vnode's files, or has
its disk attached or mounted, kill says so and removes nothing; said again when
that is over, it goes on.`,
	})
}
