package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newListCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "show the jails of this host",
		Long: `list shows every jail with its state, its address and its experiment. It needs no
supervisor: without one it reads the records itself.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			jails, err := supervise.List(site)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"jails": jails})
			}
			return printJails(cmd.OutOrStdout(), jails)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func printJails(w io.Writer, jails []supervise.JailInfo) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "VNODE\tSTATE\tADDRESS\tSSH\tNODE\tEXPERIMENT\tPID\tENDED")
	for _, j := range jails {
		pid := "-"
		if j.Alive {
			pid = fmt.Sprint(j.PID)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s/%s\t%s\t%s\n",
			j.VNode, j.Phase, j.Address, j.SSHDPort, j.NickName, j.Project, j.Experiment, pid, j.Ended)
	}
	return t.Flush()
}
