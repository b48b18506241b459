package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emujail/jailsetup/check"
	"emujail/jailsetup/supervise"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "say whether this host has what jails need",
		Long: `doctor tries what jails are made of, changes nothing, and says for each lack what
to do about it. Exit code 3 if something is lacking.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			lacking := 0
			for _, a := range check.Host() {
				if a.Err == nil {
					fmt.Fprintf(t, "ok\t%s\t%s\n", a.Name, a.Why)
					continue
				}
				lacking++
				fmt.Fprintf(t, "LACKS\t%s\t%v: %s\n", a.Name, a.Err, a.Remedy)
			}
			if err := t.Flush(); err != nil {
				return err
			}
			if lacking > 0 {
				return &supervise.Failure{Code: supervise.CodeHostLacks, Text: fmt.Sprintf("%d of what jails need is lacking (see above)", lacking)}
			}
			return nil
		},
	}
}
