package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newInfoCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "show what the supervisor settled at its start",
		Long: `info shows the control network and the processes of the running supervisor; it
starts none.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var info supervise.Info
			err := s.askRunning(cmd.Context(), supervise.Request{Verb: supervise.VerbInfo}, func(r supervise.Reply) {
				if r.Info != nil {
					info = *r.Info
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(info)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "control network  %s\nhost's address   %s\ngateway          %s\nsupervisor       pid %d\nproxy            pid %d\n",
				info.Prefix, info.Host, info.Gateway, info.PID, info.Proxy)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
