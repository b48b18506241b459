package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
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

Lines with ADVICE are of what jails boot with, but an operator had better change:
shares that aren't mounted nosuid, local stores on the file system of the jails'
disks, a small table of open files, a name server that jails are sent to and may
not ask, a socket for core dumps, and files that others can't read and that came
into /usr after the template was made, whose list of masks jails boot with.

With --jails it says what so many jails would run out of first on this host, and
which setting lifts that wall. The figures are those of idle jails with one link
each; jails that work take more. Jails boot beyond a wall marked *.`,
		Args: exactly(0, "none"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.jails < 0 {
				return usageError{errors.New("doctor: want --jails from 0 on")}
			}
			d := diagnosis{jails: opts.jails, answers: check.Host()}
			crowd, err := s.look(&d)
			if err != nil {
				return err
			}
			print := printDoctor
			if opts.asJSON {
				print = printDoctorJSON
			}
			lacking, err := print(cmd.OutOrStdout(), d)
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

// diagnosis is what the doctor has found.
type diagnosis struct {
	answers []check.Answer
	advice  []check.Advice
	jails   int // 0: no walls were looked for
	walls   []check.Wall
}

// look adds to the answers what depends on the site file: advice, of which only
// root sees all, and walls, if they are asked for.
func (s *settings) look(d *diagnosis) (crowd, err error) {
	root := os.Geteuid() == 0
	if !root && d.jails == 0 {
		return nil, nil
	}
	site, err := s.site()
	if err != nil {
		return nil, err
	}
	if root {
		setup := site.Setup()
		if len(site.Images) == 0 { // else templates may be of another root
			setup.Templates = site.Templates()
		}
		d.advice = check.Advise(setup)
	}
	if d.jails > 0 {
		load, err := loadOf(site, d.jails)
		if err != nil {
			return nil, err
		}
		d.walls, crowd = check.Walls(load), check.Admit(load)
	}
	return crowd, nil
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

func printDoctor(w io.Writer, d diagnosis) (lacking int, err error) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, a := range d.answers {
		if a.Err == nil {
			fmt.Fprintf(t, "ok    \t%s\t%s\n", a.Name, a.Why)
			continue
		}
		lacking++
		fmt.Fprintf(t, "LACKS \t%s\t%v: %s\n", a.Name, a.Err, a.Remedy)
	}
	for _, a := range d.advice {
		fmt.Fprintf(t, "ADVICE\t%s\t%s: %s\n", printable(a.About), printable(a.Found), printable(a.Remedy))
	}
	if err := t.Flush(); err != nil || len(d.walls) == 0 {
		return lacking, err
	}
	fmt.Fprintf(t, "\nFOR %d JAILS\tHOLDS\tOF\tUSED\tA JAIL\tREMEDY\n", d.jails)
	for _, wall := range d.walls {
		remedy := "-"
		if wall.Fits < d.jails {
			remedy = wall.Remedy
		}
		mark := ""
		if wall.Soft {
			mark = " *"
		}
		holds := strconv.Itoa(wall.Fits)
		if wall.Own && wall.Fits > 0 {
			holds = "any"
		}
		fmt.Fprintf(t, "%s%s\t%s\t%d\t%d\t%d\t%s\n", wall.Name, mark, holds, wall.Most, wall.Used, wall.PerJail, remedy)
	}
	return lacking, t.Flush()
}

func printDoctorJSON(w io.Writer, d diagnosis) (lacking int, err error) {
	type need struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Error  string `json:"error,omitempty"`
		Remedy string `json:"remedy,omitempty"`
	}
	out := struct {
		Needs  []need         `json:"needs"`
		Advice []check.Advice `json:"advice,omitempty"`
		Walls  []check.Wall   `json:"walls,omitempty"`
	}{Walls: d.walls, Advice: d.advice}
	for _, a := range d.answers {
		n := need{Name: a.Name, OK: a.Err == nil}
		if a.Err != nil {
			lacking++
			n.Error, n.Remedy = a.Err.Error(), a.Remedy
		}
		out.Needs = append(out.Needs, n)
	}
	return lacking, json.NewEncoder(w).Encode(out)
}
