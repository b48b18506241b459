package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/supervise"
)

func newProxyCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "look at the proxy between the jails and tmcd",
		Args:  exactly(0, "a verb: status"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("proxy: want a verb: status (jailsetup proxy --help)")}
		},
	}
	cmd.AddCommand(newProxyStatusCommand(s))
	return cmd
}

func newProxyStatusCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show what each jail has asked, and how it ended",
		Long: `status shows the counters of the proxy and of each jail since the proxy has it.

REFUSED are requests that tmcd never heard of, ERRORS those that went wrong on the
way. SPOOFS counts identity tags that were taken out of requests, STRANGERS callers
from outside the jail, DROPPED connections that the jail's limit cost.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var st supervise.ProxyStatus
			err := s.askRunning(cmd.Context(), supervise.Request{Verb: supervise.VerbProxy}, func(r supervise.Reply) {
				if r.Proxy != nil {
					st = *r.Proxy
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(st)
			}
			return printProxy(cmd.OutOrStdout(), st)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func printProxy(w io.Writer, st supervise.ProxyStatus) error {
	if !st.Up {
		_, err := fmt.Fprintf(w, "proxy is down (started %d times)\n", st.Started)
		return err
	}
	p := st.Proxy
	fmt.Fprintf(w, "proxy pid %d, started %d times: %d jails, %d connections, %d requests, %d waiting; audit lines lost %d, tmcd errors %d, redirects %d\n",
		st.PID, st.Started, p.Jails, p.Open, p.Active, p.Waiting, p.AuditLost, p.TmcdErrors, p.Redirects)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "VNODE\tOPEN\tREQUESTS\tOK\tREFUSED\tERRORS\tSPOOFS\tSTRANGERS\tDROPPED\tBYTES\tMEAN\t")
	for _, j := range st.Jails {
		mean := time.Duration(0)
		if ended := j.OK + j.Refused + j.Errors; ended > 0 {
			mean = time.Duration(j.Micros/ended) * time.Microsecond
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", j.VNode, j.Open, j.Requests, j.OK, j.Refused, j.Errors,
			j.Spoofs, j.Strangers, j.Evicted+j.Overflow, j.RequestBytes+j.ReplyBytes, mean)
	}
	return t.Flush()
}
