package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"

	"emujail/protocol"
)

// blobsRan exists once all blobs of this node are unpacked.
const blobsRan = bootDir + "/rc.blobs-ran"

// blobs fetches what the experiment wants unpacked before anything else (jail.md
// §3.6). The original gets images by multicast (frisbee); here there is http,
// and a blob by frisbee is a failure that says so.
func blobs(ctx context.Context, r *Run) error {
	reply, err := r.cached("blobs")
	if err != nil {
		return err
	}
	list, err := protocol.ParseBlobs(reply)
	r.warnAll(err)
	if len(list) == 0 {
		return skipped("no blobs")
	}
	if _, err := os.Lstat(r.path(blobsRan)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, b := range list {
		if err := r.blob(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", b.URL, err)
		}
	}
	_, err = r.put(blobsRan, nil, 0o644, true)
	return err
}

func (r *Run) blob(ctx context.Context, b protocol.Blob) error {
	u, err := url.Parse(b.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		r.lacks("images by %s: %s", u.Scheme, b.URL)
		return errors.New("only http and https are known here")
	}
	dir, ok := strings.CutPrefix(b.Action, "unpack:")
	if !ok || !path.IsAbs(dir) {
		r.lacks("action %q: %s", b.Action, b.URL)
		return errors.New("the only action known here is unpack:DIRECTORY")
	}
	if err := os.MkdirAll(r.path(dir), 0o775); err != nil {
		return err
	}
	root, err := os.OpenRoot(r.path(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := os.CreateTemp(r.path(dir), "blob.*")
	if err != nil {
		return err
	}
	p := &pkg{file: f, own: true}
	defer p.close()
	if _, err := r.get(ctx, b.URL, f, "", b.URL); err != nil {
		return err
	}
	stats, err := r.unpackInto(ctx, root, dir, f)
	if err != nil {
		return err
	}
	r.did("%s: %d files in %s", b.URL, stats.Files, dir)
	return syncFS(root)
}

func forgetBlobs(_ context.Context, r *Run) error { return r.remove(blobsRan) }
