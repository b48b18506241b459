package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/store"
)

type showOptions struct {
	manage string
	json   bool
}

func newShowCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show [NODE…]",
		Short: "Show nodes, their states and what they reported last",
		Long: `Show nodes, their states and what they reported last, as the server that runs here knows them.

As text, control characters of a report appear as \xNN and lines are indented. As JSON each report is one
string, byte for byte; a byte that is no UTF-8 is a lone surrogate, \udc80 to \udcff, as Python's
surrogateescape has it.`,
		Example: `  tmcd-mock show
  tmcd-mock show pcvm1-1 --json`,
		RunE: func(cmd *cobra.Command, args []string) error { return show(cmd, o, args) },
	}
	manageFlag(cmd, &o.manage)
	cmd.Flags().BoolVar(&o.json, "json", false, `print {"nodes": [{"id", "host", "state", "reports"}]}`)
	return cmd
}

func show(cmd *cobra.Command, o showOptions, only []string) error {
	answer, err := manage.Dial(o.manage).Nodes(cmd.Context())
	if err != nil {
		return err
	}
	nodes := []manage.Node{}
	for _, n := range answer.Nodes {
		if len(only) == 0 || slices.Contains(only, n.ID) {
			nodes = append(nodes, n)
		}
	}
	for _, id := range only {
		if !slices.ContainsFunc(nodes, func(n manage.Node) bool { return n.ID == id }) {
			return fmt.Errorf("the testbed has no node %q", id)
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), manage.Nodes{Nodes: nodes})
	}
	return printNodes(cmd.OutOrStdout(), nodes)
}

// printNodes: a table, then each node's longer reports.
func printNodes(w io.Writer, nodes []manage.Node) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tHOST\tSTATE\tREPORTS")
	for _, n := range nodes {
		var kinds []string
		for _, kind := range sorted(n.Reports) {
			kinds = append(kinds, fmt.Sprintf("%s (%d bytes)", kind, len(n.Reports[kind])))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", n.ID, n.Host, n.State.Escaped(false), strings.Join(kinds, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, n := range nodes {
		for _, kind := range sorted(n.Reports) {
			text := strings.TrimSuffix(n.Reports[kind].Escaped(true), "\n")
			fmt.Fprintf(w, "\n%s %s, %s:\n  %s\n", n.ID, kind, n.At[kind].Format(time.DateTime), strings.ReplaceAll(text, "\n", "\n  "))
		}
	}
	return nil
}

func sorted(reports map[string]store.Text) []string {
	var kinds []string
	for kind := range reports {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// printJSON prints v indented, without the escapes that only HTML needs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
