package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
)

func newStatusCommand() *cobra.Command {
	var at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Tell what the server that runs here serves, and where",
		Example: `  tmcd-mock status --json`,
		Args:    args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := manage.Dial(at).Status(cmd.Context())
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if asJSON {
				return printJSON(w, s)
			}
			fmt.Fprintf(w, "testbed %s on %s, process %d since %s, seed %d\n", s.Testbed, strings.Join(s.Listen, ", "), s.PID, s.Since.Format(time.DateTime), s.Seed)
			for _, line := range [][2]string{{"web server", s.Web}, {"certificates", s.PKI}, {"reports kept in", s.Store}} {
				if line[1] != "" {
					fmt.Fprintf(w, "%s %s\n", line[0], line[1])
				}
			}
			return nil
		},
	}
	manageFlag(cmd, &at)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newReloadCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the testbed read again",
		Long: `Have the testbed read again, as SIGHUP does, and wait for the result. A mistake in the file is printed and
changes nothing.`,
		Args: args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return manage.Dial(at).Reload(cmd.Context()) },
	}
	manageFlag(cmd, &at)
	return cmd
}
