package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/picture"
	"emujail/jailsetup/shape"
	"emujail/jailsetup/supervise"
)

func newGraphCommand(s *settings) *cobra.Command {
	var opts struct {
		output string
		dot    bool
	}
	cmd := &cobra.Command{
		Use:   "graph [EXPERIMENT]",
		Short: "draw an experiment as it stands",
		Long: `graph draws, as SVG, the experiments of this host, or the one called EXPERIMENT
(PID/EID): its nodes with their addresses and states, the LANs, and how links
are shaped. Without --output the picture goes to standard output. With --dot it
is the source of the picture, in Graphviz' language. It needs no supervisor.

  jailsetup graph jails/demo -o demo.svg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("graph: want at most one EXPERIMENT (jailsetup graph --help)")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			only := ""
			if len(args) > 0 {
				only = args[0]
			}
			picture, err := draw(cmd.Context(), site, only, opts.dot)
			if err != nil {
				return fmt.Errorf("cannot draw: %w", err)
			}
			return putOut(cmd.OutOrStdout(), opts.output, picture)
		},
	}
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "write to `FILE`")
	cmd.Flags().BoolVar(&opts.dot, "dot", false, "print the source of the picture")
	return cmd
}

// putOut writes to the file, or where the verb's output goes. A run that failed
// before leaves no file.
func putOut(w io.Writer, path string, data []byte) error {
	if path == "" {
		_, err := w.Write(data)
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func draw(ctx context.Context, site jail.Site, only string, dot bool) ([]byte, error) {
	jails, err := supervise.List(site)
	if err != nil {
		return nil, err
	}
	links, err := shape.Records(site.Run)
	if err != nil {
		return nil, err
	}
	experiments := experimentsOf(jails, links)
	if only != "" {
		experiments = slices.DeleteFunc(experiments, func(e picture.Experiment) bool { return e.Name != only })
		if len(experiments) == 0 {
			return nil, fmt.Errorf("no jail of experiment %q is on this host (jailsetup list shows them)", only)
		}
	}
	source := picture.Source(experiments)
	if dot {
		return source, nil
	}
	return picture.Draw(ctx, filepath.Join(site.Programs, "jailpicture"), source)
}

// experimentsOf sorts what is on this host by experiment.
func experimentsOf(jails []supervise.JailInfo, links map[string]shape.Link) []picture.Experiment {
	byName := map[string]*picture.Experiment{}
	of := func(name string) *picture.Experiment {
		if byName[name] == nil {
			byName[name] = &picture.Experiment{Name: name}
		}
		return byName[name]
	}
	running := map[string]bool{}
	for _, j := range jails {
		e := of(j.Project + "/" + j.Experiment)
		state := string(j.Phase)
		if j.Phase == jail.Up && !j.Alive {
			state = "ended"
		}
		running[j.VNode] = true
		e.Nodes = append(e.Nodes, picture.Node{VNode: j.VNode, Name: j.NickName, Address: j.Address, State: state})
	}
	for _, l := range links {
		if !running[l.Splice.VNode] {
			continue // killed while we looked
		}
		e := of(l.Splice.Experiment)
		e.Links = append(e.Links, pictureLink(l))
	}
	var list []picture.Experiment
	for _, e := range byName {
		slices.SortFunc(e.Links, func(a, b picture.Link) int {
			return cmp.Or(cmp.Compare(a.VNode, b.VNode), cmp.Compare(a.Interface, b.Interface))
		})
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b picture.Experiment) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func pictureLink(l shape.Link) picture.Link {
	p := picture.Link{VNode: l.Splice.VNode, LAN: l.Splice.LAN, Interface: l.Interface}
	for _, a := range l.Splice.Addrs {
		p.Addresses = append(p.Addresses, a.String())
	}
	if !l.Shape.Out.Plain() {
		p.Out = l.Shape.Out.String()
	}
	if !l.Shape.In.Plain() {
		p.In = l.Shape.In.String()
	}
	return p
}
