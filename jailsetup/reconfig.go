package main

import "github.com/spf13/cobra"

func newReconfigCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "reconfig VNODE",
		Short: "let a vnode that is up configure itself anew",
		Long: `reconfig has the running jail end its agents, ask tmcd for its whole configuration
again, and do all of it: update --reconfig by a name of its own.

What the host builds, interfaces, mounts and limits, is of the boot: reboot takes
changes of it over, with the disk kept.`,
		Example: `  jailsetup reconfig node-a`,
		Args:    exactly(1, "one VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.update(cmd, "reconfigure", args[0], "-r")
		},
	}
}
