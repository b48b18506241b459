package steps

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxMap bounds an unpacked topology map, in bytes.
const maxMap = 64 << 20

// topoMap fetches the experiment's maps when the node is configured anew; at
// boot nothing of ours needs them (jail.md §3.4, row 9). Without a topomap
// there are no others; the two of link tests may be missing.
func topoMap(ctx context.Context, r *Run) error {
	if !r.again {
		return skipped("only when configured anew")
	}
	for _, name := range []string{"topomap", "ltmap", "ltpmap"} {
		reply, err := r.ask(ctx, name)
		if err == nil && len(reply) == 0 {
			err = errors.New("tmcd has none")
		}
		if err == nil {
			err = r.saveMap(name, reply)
		}
		if err != nil && name == "topomap" {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err != nil {
			r.warn("%s: %v", name, err)
		}
	}
	return nil
}

func (r *Run) saveMap(name string, packed []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxMap+1))
	if err != nil {
		return err
	}
	if len(text) > maxMap {
		return fmt.Errorf("more than %d bytes", maxMap)
	}
	changed, err := r.put(bootDir+"/"+name, text, 0o644, false)
	if changed {
		r.did("%s: %d bytes", name, len(text))
	}
	return err
}

func removeMaps(_ context.Context, r *Run) error {
	return r.remove(bootDir+"/topomap", bootDir+"/ltmap", bootDir+"/ltpmap")
}
