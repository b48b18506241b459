package main

import (
	"github.com/spf13/cobra"

	"emujail/tmcd-mock/testbed"
)

func newImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Write a testbed's rows as YAML that a person reads",
		Long: `Read a testbed as rows of tables (JSON, the form of testbed.json) and write it to standard output as the YAML
that "tmcd-mock serve" takes: projects, users, nodes and so on in their own form, the rest as rows. Nothing is
lost: "tmcd-mock export" writes the same rows again.`,
		Example: `  tmcd-mock import testbed.json > testbed.yaml`,
		Args:    args(1, 1, "one testbed file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			tb, err := testbed.Load(files[0])
			if err != nil {
				return err
			}
			text, err := testbed.Import(tb.Snapshot())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
