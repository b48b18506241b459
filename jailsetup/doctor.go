package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emujail/jailsetup/check"
	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

func newDoctorCommand(s *settings) *cobra.Command {
	var opts struct {
		jails  int
		asJSON bool
	}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say whether this host has what jails need",
		Long: `doctor tries what jails are made of, changes nothing, and says for each lack what
to do about it. Exit code 3 if something is lacking; run by another user than
root, it says that and tries nothing.

With --jails it says what so many jails would run out of first on this host, and
which setting lifts that wall. The figures are those of idle jails with one link
each; jails that work take more. Jails boot beyond a wall marked *.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers := check.Host()
			var walls []check.Wall
			var crowd error
			if opts.jails > 0 {
				site, err := s.site()
				if err != nil {
					return err
				}
				load, err := loadOf(site, opts.jails)
				if err != nil {
					return err
				}
				walls, crowd = check.Walls(load), check.Admit(load)
			}
			print := printDoctor
			if opts.asJSON {
				print = printDoctorJSON
			}
			lacking, err := print(cmd.OutOrStdout(), answers, walls, opts.jails)
			switch {
			case err != nil:
				return err
			case lacking > 0:
				return &supervise.Failure{Code: supervise.CodeHostLacks, Text: fmt.Sprintf("%d of what jails need is lacking (see above)", lacking)}
			}
			return crowd
		},
	}
	cmd.Flags().IntVar(&opts.jails, "jails", 0, "say whether this host holds `N` jails")
	cmd.Flags().BoolVar(&opts.asJSON, "json", false, "as JSON")
	return cmd
}

// loadOf is what so many jails would be for this host.
func loadOf(site jail.Site, jails int) (check.Load, error) {
	here, err := supervise.List(site)
	if err != nil {
		return check.Load{}, err
	}
	l := check.Load{Jails: jails, DiskMade: len(here)}
	for _, j := range here {
		if j.Alive {
			l.Running++
		}
	}
	if !site.Overcommit {
		l.DiskBytes = int64(site.Limits.DiskMiB) << 20
		l.DiskRoom, err = site.Room()
	}
	return l, err
}

// admit says, in one line, if this host doesn't hold as many jails as there are
// going to be. It is no error: the jails that fit can be booted.
func admit(site jail.Site, jails int, w io.Writer) {
	load, err := loadOf(site, jails)
	if err == nil {
		err = check.Admit(load)
	}
	var crowd *check.CrowdError
	if errors.As(err, &crowd) {
		fmt.Fprintf(w, "jailsetup: %v\n", crowd)
	}
}

func printDoctor(w io.Writer, answers []check.Answer, walls []check.Wall, jails int) (lacking int, err error) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, a := range answers {
		if a.Err == nil {
			fmt.Fprintf(t, "ok\t%s\t%s\n", a.Name, a.Why)
			continue
		}
		lacking++
		fmt.Fprintf(t, "LACKS\t%s\t%v: %s\n", a.Name, a.Err, a.Remedy)
	}
	if err := t.Flush(); err != nil || len(walls) == 0 {
		return lacking, err
	}
	fmt.Fprintf(t, "\nFOR %d JAILS\tHOLDS\tOF\tUSED\tA JAIL\tREMEDY\n", jails)
	for _, wall := range walls {
		remedy := "-"
		if wall.Fits < jails {
			remedy = wall.Remedy
		}
		mark := ""
		if wall.Soft {
			mark = " *"
		}
		fmt.Fprintf(t, "%s%s\t%d\t%d\t%d\t%d\t%s\n", wall.Name, mark, wall.Fits, wall.Most, wall.Used, wall.PerJail, remedy)
	}
	return lacking, t.Flush()
}

func printDoctorJSON(w io.Writer, answers []check.Answer, walls []check.Wall, _ int) (lacking int, err error) {
	type need struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Error  string `json:"error,omitempty"`
		Remedy string `json:"remedy,omitempty"`
	}
	out := struct {
		Needs []need       `json:"needs"`
		Walls []check.Wall `json:"walls,omitempty"`
	}{Walls: walls}
	for _, a := range answers {
		n := need{Name: a.Name, OK: a.Err == nil}
		if a.Err != nil {
			lacking++
			n.Error, n.Remedy = a.Err.Error(), a.Remedy
		}
		out.Needs = append(out.Needs, n)
	}
	return lacking, json.NewEncoder(w).Encode(out)
}
