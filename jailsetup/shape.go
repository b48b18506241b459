package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"emujail/jailsetup/shape"
	"emujail/jailsetup/supervise"
)

func newShapeCommand(s *settings) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "shape EXPERIMENT [LINK [NODE] [none] [KEY=VALUE …]]",
		Short: "show or change rate, delay, loss and queue of an experiment's links",
		Long: `shape changes a link of a running experiment, without taking it down; what is on
its way stays on its way. Without words after EXPERIMENT it shows how links stand.

EXPERIMENT is PID/EID, or EID if one experiment of this host is called so. LINK is
the name of a link or LAN, NODE a node's name or vnode id.

  delay=20ms     one way; a number alone is ms
  jitter=2ms     each packet's delay is delay ± jitter
  rate=10Mb      bits a second: kb, Mb, Gb; a number alone is kbit/s; 0 or none: no limit
  loss=0.01      share of packets that are lost; 1% is the same
  queue=50       packets that wait for the rate; 100kB: bytes
  red=on         drop early from the queue; off: only what doesn't fit
  minthresh=5 maxthresh=15 weight=0.002 linterm=10 gentle=on    for red=on, after it
  seed=7         the dice begin like this; 0: anyhow
  none           nothing of all that

What isn't named stays as it is. Without NODE the words mean the way from any
node of the link to any other: each node of this host delays, loses and queues
what it sends; the rate bounds what it gets, too. With NODE they mean that node's
end, both ways; out. or in. before a word means what it sends or gets:

  jailsetup shape demo lan0 delay=20ms rate=10Mb
  jailsetup shape demo lan0 node-a in.loss=1%
  jailsetup shape demo lan0 none`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("shape: want an EXPERIMENT (%s --help)", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := shapeRequest(args)
			if err != nil {
				return usageError{err}
			}
			site, err := s.site()
			if err != nil {
				return err
			}
			conn, err := connect(cmd.Context(), site)
			if err != nil {
				return err
			}
			defer conn.Close()
			var links []shape.Status
			err = supervise.Call(conn, supervise.Request{Verb: supervise.VerbShape, Shape: &req}, func(r supervise.Reply) {
				links = append(links, r.Links...)
			})
			if err != nil {
				return fmt.Errorf("cannot shape %s: %w", req.Experiment, err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(links)
			}
			return printLinks(cmd.OutOrStdout(), links)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the links as JSON, with all counters")
	return cmd
}

// shapeRequest tells names from words: a word has an equals sign, or is none.
func shapeRequest(args []string) (supervise.ShapeRequest, error) {
	req := supervise.ShapeRequest{Experiment: args[0]}
	names := []*string{&req.Link, &req.Node}
	for _, a := range args[1:] {
		isWord := strings.Contains(a, "=") || a == "none" || a == "out.none" || a == "in.none"
		switch {
		case isWord:
			req.Words = append(req.Words, a)
		case len(req.Words) > 0 || len(names) == 0:
			return req, fmt.Errorf("shape: %q: want KEY=VALUE after LINK and NODE", a)
		default:
			*names[0], names = a, names[1:]
		}
	}
	if len(req.Words) == 0 {
		return req, nil
	}
	if req.Link == "" {
		return req, fmt.Errorf("shape: want a LINK before %q", req.Words[0])
	}
	if err := req.Words.Check(); err != nil {
		return req, fmt.Errorf("shape: %w", err)
	}
	return req, nil
}

func printLinks(w io.Writer, links []shape.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LINK\tNODE\tINTERFACE\tBY\tWAY\tSHAPE\tPACKETS\tLOST\tDROPPED")
	for _, l := range links {
		by := "kernel"
		switch {
		case !l.Link.Spliced:
			by = "-"
		case l.ByNode:
			by = "delay node"
		}
		for _, way := range [...]struct {
			name  string
			shape shape.Shape
			n     shape.Counts
		}{{"out", l.Link.Shape.Out, l.Out}, {"in", l.Link.Shape.In, l.In}} {
			n := way.n.Node
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", l.Link.Splice.LAN, l.Link.NickName, l.Link.Interface, by,
				way.name, way.shape, n.Packets, n.Lost, n.Early+n.Overflow+n.Missed+n.Bad+way.n.QueueDrops)
		}
	}
	return t.Flush()
}
