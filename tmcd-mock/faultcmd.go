package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/manage"
)

func newFaultCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Make trouble: delays, resets, garbage and more",
		Long: `Make trouble on demand. A rule is KIND [key=value]…, of these kinds:

` + kindHelp() + `
and these keys: command, node (patterns like pcvm1-*), transport (tcp, udp, tls), p (probability), next (only the
next N requests), delay, jitter, bytes, rate, to. The same seed gives each node the same trouble.

A testbed file may have rules too (faults: a list), and things that happen by themselves (timeline: a list).`,
		Example: `  tmcd-mock fault add delay command=accounts node=pcvm1-* delay=2s jitter=1s p=0.5
  tmcd-mock fault add cut bytes=100 next=1
  tmcd-mock fault list
  tmcd-mock fault clear`,
		Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error { return usagef("fault: want add, list or clear") },
	}
	cmd.AddCommand(newFaultAddCommand(), newFaultListCommand(), newFaultClearCommand())
	return cmd
}

func kindHelp() string {
	var b strings.Builder
	for _, k := range fault.Kinds() {
		fmt.Fprintf(&b, "  %-11s %s\n", k[0], k[1])
	}
	return b.String()
}

func newFaultAddCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:     "add KIND [KEY=VALUE…]",
		Short:   "Add a rule, and print its number",
		Example: `  tmcd-mock fault add reset command=fullconfig bytes=1000 next=2`,
		Args:    args(1, -1, "KIND [KEY=VALUE…]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			rule, err := fault.Parse(strings.Join(args, " "))
			if err != nil {
				return usageError{err}
			}
			id, err := manage.Dial(at).AddFault(cmd.Context(), rule)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	manageFlag(cmd, &at)
	return cmd
}

func newFaultListCommand() *cobra.Command {
	var at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules in force, and the seed",
		Args:  args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := manage.Dial(at).Faults(cmd.Context())
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if asJSON {
				return printJSON(w, list)
			}
			fmt.Fprintf(w, "seed %d\n", list.Seed)
			for _, f := range list.Faults {
				fmt.Fprintf(w, "%d %s\n", f.ID, f.Rule)
			}
			return nil
		},
	}
	manageFlag(cmd, &at)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newFaultClearCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "clear [NUMBER]",
		Short: "Take away one rule, or all",
		Args:  args(0, 1, "the number of a rule, or nothing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := 0
			if len(args) == 1 {
				var err error
				if id, err = strconv.Atoi(args[0]); err != nil || id < 1 {
					return usagef("fault clear %s: want the number of a rule", args[0])
				}
			}
			return manage.Dial(at).RemoveFault(cmd.Context(), id)
		},
	}
	manageFlag(cmd, &at)
	return cmd
}
