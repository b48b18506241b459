package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/pki"
	"emujail/tmcd-mock/recorded"
	"emujail/tmcd-mock/server"
	"emujail/tmcd-mock/testbed"
)

type replayOptions struct {
	testbed string
	min     float64
	diffs   int
}

func newReplayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay VECTORS…",
		Short: "Play recorded exchanges against a testbed and compare the replies",
		Long: `Serve a testbed on loopback, send it each recorded exchange as it was sent then (source address, transport,
pieces, sequences on one database), and compare what comes back, byte for byte but for the order of lines that
the recording itself calls meaningless. A file of vectors holds one JSON object a line.

It prints what differs (- recorded, + answered), a table by group, and last "replay: N of M equal (P %)", M being
the comparable records. Exit 0 when P is at least --min.

The source addresses are 127.0.0.x, which Linux has; FreeBSD and macOS want them as aliases of lo0.`,
		Example: `  tmcd-mock replay --testbed testdata/recorded.yaml testdata/vectors/tmcd.jsonl
  tmcd-mock replay --testbed testdata/recorded.yaml --min 99 testdata/vectors/tmcd.jsonl`,
		Args: args(1, -1, "files of recorded exchanges"),
		RunE: func(cmd *cobra.Command, files []string) error {
			if o.min < 0 || o.min > 100 {
				return usagef("--min %v: want a percentage from 0 to 100", o.min)
			}
			return replay(cmd.Context(), cmd.OutOrStdout(), o, files)
		},
	}
	cmd.Flags().StringVar(&o.testbed, "testbed", "", "testbed `FILE` that the exchanges were answered from (default: the built-in one)")
	cmd.Flags().Float64Var(&o.min, "min", 100, "`PERCENT` that must be equal")
	cmd.Flags().IntVar(&o.diffs, "diffs", 100, "show at most `N` differences")
	return cmd
}

func replay(ctx context.Context, w io.Writer, o replayOptions, files []string) error {
	var recs []recorded.Record
	for _, file := range files {
		part, err := recorded.Load(file)
		if err != nil {
			return err
		}
		recs = append(recs, part...)
	}
	tb, err := loadTestbed(o.testbed)
	if err != nil {
		return err
	}
	srv, config, err := serveForReplay(tb)
	if err != nil {
		return err
	}
	fresh := tb.Snapshot()
	table := newReplayTable(w, o.diffs)
	player := recorded.Replayer{
		Client: &recorded.Client{Addr: srv.Addrs()[0], TLS: config},
		Reset: func(site string) {
			db := fresh.Clone()
			if site != "" {
				db.Site.Set(site, "true")
			}
			tb.Replace(db)
		},
	}
	player.Run(ctx, recs, table.add)
	if err := errors.Join(ctx.Err(), srv.Close()); err != nil {
		return err
	}
	return table.finish(o.min)
}

func loadTestbed(file string) (*testbed.Testbed, error) {
	if file == "" {
		return testbed.Builtin()
	}
	return testbed.Load(file)
}

// serveForReplay serves tb on a port of 127.0.0.1, with certificates that live
// as long as this process.
func serveForReplay(tb *testbed.Testbed) (srv *server.Server, client *tls.Config, err error) {
	dir, err := os.MkdirTemp("", "tmcd-mock-replay-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := pki.Create(filepath.Join(dir, "pki"), pki.Options{}); err != nil {
		return nil, nil, err
	}
	material, err := pki.Load(filepath.Join(dir, "pki"), time.Now())
	if err != nil {
		return nil, nil, err
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "pki", "client.pem"), filepath.Join(dir, "pki", "client.pem"))
	if err != nil {
		return nil, nil, err
	}
	listen, err := server.CheckListen("127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	serverTLS := material.ServerTLS()
	srv, err = server.Start(server.Options{
		Listen: []netip.AddrPort{listen},
		Admit:  func(q answer.Query) answer.Result { return answer.Admit(tb, q) },
		Answer: func(q answer.Query) answer.Result { return answer.Answer(tb, q) },
		Host:   func(a netip.Addr) string { return answer.HostOf(tb, a) },
		TLS:    func() *tls.Config { return serverTLS },
	})
	client = &tls.Config{
		Certificates: []tls.Certificate{own}, RootCAs: material.Authorities, ServerName: "127.0.0.1",
		DynamicRecordSizingDisabled: true, // a request is one record
		MinVersion:                  tls.VersionTLS12,
	}
	return srv, client, err
}

// replayTable counts outcomes by group and shows what differs.
type replayTable struct {
	w      io.Writer
	order  []string
	groups map[string]*replayCount
	left   int // differences that may still be shown
	hidden int
}

type replayCount struct{ equal, comparable int }

func newReplayTable(w io.Writer, diffs int) *replayTable {
	return &replayTable{w: w, groups: map[string]*replayCount{}, left: diffs}
}

func (t *replayTable) add(o recorded.Outcome) {
	group := o.Record.Group
	if t.groups[group] == nil {
		t.groups[group] = &replayCount{}
		t.order = append(t.order, group)
	}
	t.groups[group].comparable++
	switch {
	case o.Equal():
		t.groups[group].equal++
		return
	case t.left == 0:
		t.hidden++
		return
	}
	t.left--
	switch {
	case o.Err != nil:
		fmt.Fprintf(t.w, "%s: %v\n", o.Record.ID, o.Err)
	case o.Record.Equal(o.Reply):
		fmt.Fprintf(t.w, "%s ends with %s, not %s\n", o.Record.ID, o.End, o.Record.End)
	default:
		fmt.Fprint(t.w, o.Record.Diff(o.Reply))
	}
}

func (t *replayTable) finish(min float64) error {
	if t.hidden > 0 {
		fmt.Fprintf(t.w, "… and %d more differences\n", t.hidden)
	}
	var all replayCount
	tw := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "group\tequal\tcomparable\t")
	for _, group := range t.order {
		c := t.groups[group]
		all.equal += c.equal
		all.comparable += c.comparable
		fmt.Fprintf(tw, "%s\t%d\t%d\t\n", group, c.equal, c.comparable)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	percent := 100.0
	if all.comparable > 0 {
		percent = 100 * float64(all.equal) / float64(all.comparable)
	}
	shown := math.Floor(percent*100) / 100 // never up to 100
	fmt.Fprintf(t.w, "replay: %d of %d equal (%s %%)\n", all.equal, all.comparable, strconv.FormatFloat(shown, 'f', -1, 64))
	if percent < min {
		return errTold
	}
	return nil
}
