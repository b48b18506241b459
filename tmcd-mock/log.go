package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/store"
)

type logOptions struct {
	manage                string
	follow, json, refused bool
	node                  string
}

func newLogCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show what was asked: by whom, which way, with what outcome",
		Long: `Show the last requests that the server that runs here has seen: who asked, which way, how it ended, and why it was
refused; also changes of state, of the testbed and of faults. Arguments aren't shown, since they may hold keys.`,
		Example: `  tmcd-mock log -f --node pcvm1-1
  tmcd-mock log --refused`,
		Args: args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var failed error
			err := manage.Dial(o.manage).Journal(cmd.Context(), 0, o.follow, func(e store.Event) bool {
				if o.wants(e) {
					failed = o.print(cmd.OutOrStdout(), e)
				}
				return failed == nil
			})
			if cmd.Context().Err() != nil {
				return failed // ended by the user: what was wanted
			}
			if err == nil {
				err = failed
			}
			return err
		},
	}
	manageFlag(cmd, &o.manage)
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what comes, until interrupted")
	cmd.Flags().BoolVar(&o.json, "json", false, "print a JSON object a line")
	cmd.Flags().BoolVar(&o.refused, "refused", false, "only what was refused")
	cmd.Flags().StringVar(&o.node, "node", "", "only what `NODE` asked or is about")
	return cmd
}

func (o logOptions) wants(e store.Event) bool {
	if o.node != "" && e.Node != o.node && (e.Request == nil || e.Host != o.node) {
		return false
	}
	return !o.refused || e.Request != nil && e.Outcome == store.Refused
}

func (o logOptions) print(w io.Writer, e store.Event) error {
	if o.json {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	}
	_, err := fmt.Fprintln(w, logLine(e))
	return err
}

// logLine is an event for people.
func logLine(e store.Event) string {
	words := []string{e.Time.Local().Format("15:04:05.000")}
	if e.Request == nil {
		words = append(words, string(e.Kind), e.Node, e.Text.Escaped(false))
		return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	}
	who := e.Node
	if who == "" {
		who = "?"
	}
	from := e.Source
	if e.Host != "" && e.Host != e.Node {
		from = e.Host + " " + from
	}
	way := e.Transport
	if e.As != "" {
		way += " " + e.As
	}
	words = append(words, fmt.Sprintf("%s (%s, %s) v%d %s: %s", who, from, way, e.Version, e.Command, e.Outcome))
	if e.Sent > 0 {
		words = append(words, fmt.Sprintf("%d bytes", e.Sent))
	}
	if e.Why != "" {
		words = append(words, "("+e.Why.Escaped(false)+")")
	}
	if e.Fault != "" {
		words = append(words, "[fault: "+e.Fault+"]")
	}
	if e.Balancer != "" {
		words = append(words, "[through "+strings.TrimSpace(e.Balancer+" "+e.Claim)+"]")
	}
	return strings.Join(words, " ")
}
