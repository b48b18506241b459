package main

import (
	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newBootCommand(s *settings) *cobra.Command {
	return newChangeCommand(s, change{
		verb: supervise.VerbBoot, traced: true,
		short: "build and start a vnode's jail",
		long: `boot reports BOOTING to tmcd, asks it what the vnode should be, builds what is
missing and starts the jail's init. A disk from before is kept. It returns when
the init runs; the jail configures itself and reports ISUP.

If what there is of the vnode was made for another experiment than tmcd says, the
vnode has passed on, and its kill was missed: the old jail is ended, all of it is
destroyed, as with kill, and the boot begins with nothing. The log says so.

What fails is undone, and tmcd is told TBFAILED, with the last steps as the boot
log. The last steps are printed, then the step that failed and why. With
--trace every step is printed, also of a boot that fails:

  jailsetup boot --trace node-a | jq '.steps[] | [.step, .took_ns, .outcome]'`,
	})
}
