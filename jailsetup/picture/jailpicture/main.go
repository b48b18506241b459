// Command jailpicture draws: Graphviz' language on its input, SVG on its output.
// "jailsetup graph" starts it; it is a program of its own because Graphviz costs
// a tenth of a second at each start.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-graphviz"
)

// maxSource bounds, in bytes, what is read.
const maxSource = 16 << 20

func main() {
	if err := draw(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jailpicture:", err)
		os.Exit(1)
	}
}

func draw(ctx context.Context, in io.Reader, out io.Writer) error {
	source, err := io.ReadAll(io.LimitReader(in, maxSource))
	if err != nil {
		return err
	}
	g, err := graphviz.New(ctx)
	if err != nil {
		return err
	}
	defer g.Close()
	graph, err := graphviz.ParseBytes(source)
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	defer graph.Close()
	return g.Render(ctx, graph, graphviz.SVG, out)
}
