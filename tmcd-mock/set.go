package main

import (
	"strings"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/manage"
)

func newSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Change the running testbed: rows, or an account",
		Long:  `Change the running testbed. The file stays as it is; reading it again undoes what was set.`,
		Example: `  tmcd-mock set row nodes node_id=pcvm1-1 -- startupcmd=/bin/true update_accounts=1
  tmcd-mock set account carol --project jails --key "ssh-ed25519 AAAA… carol"`,
		Args: cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error { return usagef("set: want row or account") },
	}
	cmd.AddCommand(newSetRowCommand(), newSetAccountCommand())
	return cmd
}

func newSetRowCommand() *cobra.Command {
	var at string
	var insert, remove bool
	cmd := &cobra.Command{
		Use:   "row TABLE COLUMN=VALUE… [-- COLUMN=VALUE…]",
		Short: "Change, insert or delete rows of a table of Emulab's database",
		Long: `Change the rows of TABLE that have the values given before "--": they get those given behind it. With --insert a
row is made if none matches; with --delete those that match go.`,
		Example: `  tmcd-mock set row nodes node_id=pc1 -- update_accounts=1
  tmcd-mock set row reserved node_id=pcvm1-1 --delete`,
		Args: args(2, -1, "TABLE and COLUMN=VALUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 0 {
				dash = len(args)
			}
			change := manage.Change{Op: "update", Table: args[0]}
			switch {
			case insert && remove:
				return usagef("set row: --insert and --delete exclude each other")
			case insert:
				change.Op = "upsert"
			case remove:
				change.Op = "delete"
			}
			var err error
			if change.Where, err = columns(args[1:dash]); err != nil {
				return err
			}
			if change.Set, err = columns(args[dash:]); err != nil {
				return err
			}
			if change.Op == "update" && len(change.Set) == 0 {
				return usagef("set row: want COLUMN=VALUE behind --, which is what the rows get")
			}
			return manage.Dial(at).Set(cmd.Context(), []manage.Change{change})
		},
	}
	manageFlag(cmd, &at)
	cmd.Flags().BoolVar(&insert, "insert", false, "make a row if none matches")
	cmd.Flags().BoolVar(&remove, "delete", false, "delete the rows that match")
	return cmd
}

func columns(words []string) (map[string]string, error) {
	m := map[string]string{}
	for _, word := range words {
		column, value, ok := strings.Cut(word, "=")
		if !ok || column == "" {
			return nil, usagef("set row: %q: want COLUMN=VALUE", word)
		}
		m[column] = value
	}
	return m, nil
}

func newSetAccountCommand() *cobra.Command {
	var at string
	var a manage.Account
	cmd := &cobra.Command{
		Use:   "account NAME --project PID",
		Short: "Add an account, or change it, in a project",
		Long: `Add an account to a project, or change the one that is there, and mark the accounts of the project's nodes as
changed, so that their next isalive says UPDATE=1. What isn't given stays as it is.`,
		Example: `  tmcd-mock set account carol --project jails --trust local_root --key "ssh-ed25519 AAAA… carol"`,
		Args:    args(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.Login = args[0]; a.Project == "" {
				return usagef("set account: want --project PID")
			}
			return manage.Dial(at).SetAccount(cmd.Context(), a)
		},
	}
	manageFlag(cmd, &at)
	f := cmd.Flags()
	f.StringVar(&a.Project, "project", "", "project (`PID`) that it belongs to")
	f.StringVar(&a.Trust, "trust", "", "`TRUST` in the project: user (default), local_root, group_root, project_root")
	f.StringVar(&a.Shell, "shell", "", "login `SHELL` (default bash)")
	f.StringVar(&a.Name, "name", "", "full `NAME`")
	f.StringArrayVar(&a.Keys, "key", nil, "ssh public `KEY`; several are possible")
	f.IntVar(&a.UID, "uid", 0, "numeric `UID`; 0: the next free one from 20000 on")
	return cmd
}
