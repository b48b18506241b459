package main

import (
	"github.com/spf13/cobra"

	"emujail/tmcd-mock/testbed"
)

func newExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export FILE",
		Short: "Write a testbed as rows of tables, in JSON",
		Long: `Read a testbed (YAML, or rows as JSON) and write its rows to standard output, in the form of testbed.json: one
table after the other, one row a line, without columns that have their table's default.

Events of a schedule, faults and the timeline are no rows and are left out.`,
		Example: `  tmcd-mock export testbed.yaml > testbed.json`,
		Args:    args(1, 1, "one testbed file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			tb, err := testbed.Load(files[0])
			if err != nil {
				return err
			}
			return tb.Snapshot().Export(cmd.OutOrStdout())
		},
	}
}
