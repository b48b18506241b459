package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/testbed"
)

func newScheduleCommand() *cobra.Command {
	var at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Show the events that the testbed plans",
		Long: `Show each experiment's schedule: and event_groups:, as the server that runs here has them. The mock plays no
events; jailsetup does.`,
		Example: `  tmcd-mock schedule --json`,
		Args:    args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := manage.Dial(at).Schedules(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "EXPERIMENT\tAT\tOBJECT\tACTION\tARGUMENTS")
			for _, x := range s.Experiments {
				for _, e := range x.Events {
					fmt.Fprintf(table, "%s\t%g\t%s\t%s\t%s\n", x.Experiment, e.At, e.Object, e.Action, e.Args)
				}
			}
			return table.Flush()
		},
	}
	manageFlag(cmd, &at)
	cmd.Flags().BoolVar(&asJSON, "json", false, `print {"experiments": [{"experiment", "groups", "events"}]}`)
	return cmd
}

// schedules collects what each experiment plans.
func (m *mock) schedules() []manage.Schedule {
	byName := map[string]*manage.Schedule{}
	of := func(pid, eid string) *manage.Schedule {
		name := pid + "/" + eid
		if byName[name] == nil {
			byName[name] = &manage.Schedule{Experiment: name, Groups: map[string][]string{}, Events: []manage.ScheduledEvent{}}
		}
		return byName[name]
	}
	m.tb.Read(func(db *testbed.DB) {
		for _, e := range db.Schedule {
			s := of(e.PID, e.EID)
			s.Events = append(s.Events, manage.ScheduledEvent{At: e.At.Seconds(), Object: e.Object, Action: e.Action, Args: joinArgs(e.Args)})
		}
		for row := range db.Rows("event_groups") {
			s, group := of(row.Text("pid"), row.Text("eid")), row.Text("group_name")
			s.Groups[group] = append(s.Groups[group], row.Text("agent_name"))
		}
	})
	list := []manage.Schedule{}
	for _, s := range byName {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b manage.Schedule) int { return cmp.Compare(a.Experiment, b.Experiment) })
	return list
}

// joinArgs makes KEY=value words; a value with spaces is quoted.
func joinArgs(list []testbed.Arg) string {
	var words []string
	for _, a := range list {
		value := a.Value
		if strings.ContainsAny(value, " \t") {
			quote := "'"
			if strings.Contains(value, quote) {
				quote = `"`
			}
			value = quote + value + quote
		}
		words = append(words, a.Key+"="+value)
	}
	return strings.Join(words, " ")
}
