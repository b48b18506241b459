package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const (
	updateTimeout = 30 * time.Minute // software may be long in coming
	maxUpdateText = 1 << 20
)

func newUpdateCommand(s *settings) *cobra.Command {
	var o struct{ software, all, anew bool }
	cmd := &cobra.Command{
		Use:   "update VNODE",
		Short: "let a vnode that is up ask tmcd again",
		Long: `update has the jail ask tmcd for its configuration and do what has changed, now:
accounts, unless an option says more. What hasn't changed goes on undisturbed. It
is what the jail does by itself when tmcd says UPDATE=1.`,
		Example: `  jailsetup update pcvm1-1
  jailsetup update --all node-a`,
		Args: exactly(1, "one VNODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var options []string
			for option, wanted := range map[string]bool{"-t": o.software, "-a": o.all, "-r": o.anew} {
				if wanted {
					options = append(options, option)
				}
			}
			return s.update(cmd, "update", args[0], options...)
		},
	}
	cmd.Flags().BoolVar(&o.software, "software", false, "tarballs and packages instead of accounts")
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "everything that has changed")
	cmd.Flags().BoolVarP(&o.anew, "reconfig", "r", false, "everything anew: agents end and start again")
	exclusive(cmd, "software", "all", "reconfig")
	return cmd
}

// update has the jail's init update what the options say, and shows what it says.
func (s *settings) update(cmd *cobra.Command, deed, name string, options ...string) error {
	site, err := s.site()
	if err != nil {
		return err
	}
	vnode, err := resolve(site, name)
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", deed, name, err)
	}
	argv := append([]string{"/run/emulab/bin/injail", "update"}, options...)
	h, err := askInside(cmd.Context(), site, ask{vnode: vnode, argv: argv, timeout: updateTimeout, most: maxUpdateText})
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", deed, name, err)
	}
	for line := range bytes.Lines(h.stdout) {
		fmt.Fprintln(cmd.OutOrStdout(), printable(string(bytes.TrimRight(line, "\n"))))
	}
	if h.code != 0 {
		return fmt.Errorf("cannot %s %s: %s", deed, name, printable(string(lastLine(h.stderr))))
	}
	return nil
}

func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}
