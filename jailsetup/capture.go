package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/network"
	"emujail/jailsetup/pcap"
	"emujail/jailsetup/shape"
)

func newCaptureCommand(s *settings) *cobra.Command {
	var o capturing
	cmd := &cobra.Command{
		Use:   "capture LAN",
		Short: "record the frames of an experiment's LAN",
		Long: `capture records what crosses a LAN on this host, until it is interrupted, as a
pcap file for tcpdump and Wireshark; without --write and on a terminal it prints
a line a frame. LAN is its name in the experiment, or PID/EID/LAN where several
experiments have one of that name.

  jailsetup capture lan0 -w lan0.pcap
  jailsetup capture jails/demo/lan0 | tcpdump -n -r -

It hears the LAN's bridge: frames that a filter drops at a jail's port are not
there, and what one jail sends in large pieces is shown in large pieces. TCP
between two jails of this host usually goes past the bridge. While this listens,
and up to two seconds longer, it goes by the bridge, which is slower.
Nothing is sent. It needs no supervisor.`,
		Args: exactly(1, "one LAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			site, err := s.site()
			if err != nil {
				return err
			}
			if o.count < 0 || o.snap < 14 || o.snap > pcap.MaxLength {
				return usageError{fmt.Errorf("capture: want --count from 0 on and --snap from 14 to %d", pcap.MaxLength)}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if err := o.run(ctx, site, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
				return fmt.Errorf("cannot capture %s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&o.path, "write", "w", "", "write to `FILE`; -: to standard output")
	cmd.Flags().IntVarP(&o.count, "count", "c", 0, "end after `N` frames")
	cmd.Flags().IntVarP(&o.snap, "snap", "s", pcap.MaxLength, "keep at most `BYTES` of a frame")
	return cmd
}

type capturing struct {
	path  string
	count int // 0: no end
	snap  int
}

// findLAN is the LAN of that name, or of that experiment and name.
func findLAN(site jail.Site, name string) (network.Splice, error) {
	links, err := shape.Records(site.Run)
	if err != nil {
		return network.Splice{}, err
	}
	found := map[string]network.Splice{}
	var all []string
	for _, l := range links {
		full := l.Splice.Experiment + "/" + l.Splice.LAN
		all = append(all, full)
		if name == full || name == l.Splice.LAN {
			found[full] = l.Splice
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(found) == 1 {
		for _, l := range found {
			return l, nil
		}
	}
	if len(found) > 1 {
		return network.Splice{}, fmt.Errorf("%d experiments have a LAN of that name: want PID/EID/LAN", len(found))
	}
	if len(all) == 0 {
		return network.Splice{}, errors.New("no jail with a LAN runs on this host")
	}
	return network.Splice{}, fmt.Errorf("no such LAN on this host (there are: %s)", printable(strings.Join(all, ", ")))
}

func (o capturing) run(ctx context.Context, site jail.Site, name string, out, say io.Writer) (err error) {
	lan, err := findLAN(site, name)
	if err != nil {
		return err
	}
	tap, err := network.OpenTap(site.Run, lan.Experiment, lan.LAN, lan.Tag)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tap.Close()) }()
	file, lines, err := o.sink(out)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	frames, err := o.record(ctx, tap, buffered, lines)
	err = errors.Join(err, buffered.Flush())
	if closer, ok := file.(io.Closer); ok && file != out {
		err = errors.Join(err, closer.Close())
	}
	dropped, dropErr := tap.Dropped()
	fmt.Fprintf(say, "%d frames, %d dropped for want of time\n", frames, dropped)
	return errors.Join(err, dropErr)
}

// sink is where frames go, and whether as lines for a person. What is captured
// may be secret: a new file is its owner's alone.
func (o capturing) sink(out io.Writer) (w io.Writer, lines bool, err error) {
	switch o.path {
	case "":
		return out, isTerminal(os.Stdout), nil
	case "-":
		return out, false, nil
	}
	file, err := os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	return file, false, err
}

// record passes frames on in the form that is wanted.
func (o capturing) record(ctx context.Context, tap *network.Tap, w *bufio.Writer, lines bool) (frames int, err error) {
	if lines {
		return o.copy(ctx, tap, w.Flush, func(f pcap.Frame) error {
			_, err := fmt.Fprintln(w, frameLine(f))
			return err
		})
	}
	out, err := pcap.NewWriter(w)
	if err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil { // so that whoever reads knows that it has begun
		return 0, err
	}
	return o.copy(ctx, tap, w.Flush, out.Write)
}

// lookInterval is how often a quiet capture looks up: for its end, and to pass
// on what it has.
const lookInterval = 200 * time.Millisecond

// copy passes frames on until there are enough, ctx ends or the LAN is gone.
// What came before the end is passed on, too.
func (o capturing) copy(ctx context.Context, tap *network.Tap, flush func() error, write func(pcap.Frame) error) (frames int, err error) {
	buf := make([]byte, o.snap)
	for quiet := 0; ctx.Err() == nil && (o.count == 0 || frames < o.count); {
		n, length, at, err := tap.Read(buf, time.Now().Add(lookInterval))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err := flush(); err != nil {
				return frames, err
			}
			if quiet++; quiet%5 == 0 && tap.Gone() {
				return frames, errors.New("the experiment has left this host")
			}
			continue
		}
		if err != nil {
			return frames, err
		}
		if err := write(pcap.Frame{Time: at, Data: buf[:n], Length: length}); err != nil {
			return frames, err
		}
		frames++
	}
	return o.rest(tap, buf, frames, write)
}

// restTime bounds how long an ended capture passes on what has come.
const restTime = 5 * time.Second

// rest passes on what came until now and waits to be read.
func (o capturing) rest(tap *network.Tap, buf []byte, frames int, write func(pcap.Frame) error) (int, error) {
	for end := time.Now(); (o.count == 0 || frames < o.count) && time.Since(end) < restTime; frames++ {
		n, length, at, err := tap.ReadNow(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && at.After(end) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		if err := write(pcap.Frame{Time: at, Data: buf[:n], Length: length}); err != nil {
			return frames, err
		}
	}
	return frames, nil
}
