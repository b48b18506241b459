package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"emujail/jailsetup/network"
	"emujail/jailsetup/supervise"
)

func newHostPortsCommand(s *settings) *cobra.Command {
	var opts struct{ add, remove []string }
	cmd := &cobra.Command{
		Use:   "hostports",
		Short: "show or change the host's ports that jails reach",
		Long: `From a jail, this host answers only on the ports listed here (site file:
host_ports); changes last until the supervisor starts anew. The ports of tmcd
are not for jails: they ask through their proxy.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := supervise.Request{Verb: supervise.VerbHostPorts, Add: opts.add, Remove: opts.remove}
			for _, text := range opts.add {
				if p, err := network.ParsePort(text); err == nil && p.IsTmcd() {
					fmt.Fprintf(cmd.ErrOrStderr(), "jailsetup: warning: %s is tmcd's: jails reach it without their proxy now (hostports --remove %s)\n", p, p)
				} else if err != nil {
					return usageError{fmt.Errorf("hostports: %w", err)}
				}
			}
			return s.ask(cmd.Context(), req, func(r supervise.Reply) {
				for _, p := range r.Ports {
					fmt.Fprintln(cmd.OutOrStdout(), p)
				}
			})
		},
	}
	cmd.Flags().StringSliceVar(&opts.add, "add", nil, "let jails reach `PORT`: tcp/N or udp/N")
	cmd.Flags().StringSliceVar(&opts.remove, "remove", nil, "let jails reach `PORT` no more")
	return cmd
}
