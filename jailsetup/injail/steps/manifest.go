package steps

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"

	"emujail/protocol"
)

// The manifest (jail.md §3.4) changes the list of steps: it switches one off,
// lets a downloaded program (a blob) do its work, or runs blobs before and after
// it. Lines for loading disks (ENV=load) aren't for us.

// loadManifest reads it from the cache. Lines that can't be read are left out.
func (n *Node) loadManifest() (protocol.Manifest, error) {
	reply, err := n.cached("manifest")
	if err != nil {
		return protocol.Manifest{}, err
	}
	m, err := protocol.ParseManifest(reply)
	if err != nil {
		fmt.Fprintf(n.Out, "%s: manifest: %v\n", n.now().Format(clock), err)
	}
	m.Services = slices.DeleteFunc(m.Services, func(s protocol.Service) bool { return s.Env == "load" })
	m.Hooks = slices.DeleteFunc(m.Hooks, func(h protocol.Hook) bool { return h.Env == "load" })
	return m, nil
}

// governed puts the manifest's rules for a step around its function. A step
// without rules stays as it is.
func governed(s Step, m protocol.Manifest, a Action, f func(context.Context, *Run) error) (Step, func(context.Context, *Run) error) {
	i := slices.IndexFunc(m.Services, func(r protocol.Service) bool { return r.Name == s.Service })
	rule := protocol.Service{Name: s.Service, Enabled: true, HooksEnabled: true, Whence: "every"}
	if i >= 0 {
		rule = m.Services[i]
	}
	op := string(a)
	if a == Refresh {
		op = string(Boot)
	}
	var hooks []protocol.Hook
	for _, h := range m.Hooks {
		if h.Service == s.Service && h.Op == op && rule.HooksEnabled {
			hooks = append(hooks, h)
		}
	}
	if i < 0 && len(hooks) == 0 {
		return s, f
	}
	off := !rule.Enabled && !s.Fatal // what the node can't be up without stays on
	s.Fatal = s.Fatal || rule.Fatal
	return s, func(ctx context.Context, r *Run) error {
		if err := r.hooks(ctx, hooks, "pre", op); err != nil {
			return err
		}
		if off {
			return unless(r.hooks(ctx, hooks, "post", op), "switched off by the manifest")
		}
		work := f
		if rule.BlobID != "" {
			work = func(ctx context.Context, r *Run) error { return r.runBlob(ctx, rule.BlobID, nil, op) }
		}
		mark := dbDir + "/" + s.Service + ".run"
		err := r.once(rule.Whence, mark, func() error { return work(ctx, r) })
		var skip skipped
		if err != nil && !errors.As(err, &skip) {
			return err
		}
		return errors.Join(err, r.hooks(ctx, hooks, "post", op))
	}
}

// hooks runs those of a point. One that fails is a warning, unless it's fatal.
func (r *Run) hooks(ctx context.Context, all []protocol.Hook, point, op string) error {
	for _, h := range all {
		if h.Point != point {
			continue
		}
		mark := fmt.Sprintf("%s/%s.%shook.%s.run", dbDir, h.Service, point, h.BlobID)
		err := r.once(h.Whence, mark, func() error { return r.runBlob(ctx, h.BlobID, strings.Fields(h.Argv), op) })
		var skip skipped
		switch {
		case err == nil || errors.As(err, &skip):
		case h.Fatal:
			return fmt.Errorf("%s hook %s: %w", point, h.BlobID, err)
		default:
			r.warn("%s hook %s: %v", point, h.BlobID, err)
		}
	}
	return nil
}

// once runs f, for whence "first" only until it has succeeded.
func (r *Run) once(whence, mark string, f func() error) error {
	if whence != "first" {
		return f()
	}
	if _, err := os.Lstat(r.path(mark)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, skipped("only the first time"))
	}
	if err := f(); err != nil {
		return err
	}
	_, err := r.put(mark, nil, 0o644, true)
	return err
}

// runBlob downloads a blob, if it isn't here as the server has it, and runs it
// as root with the action as last argument.
func (r *Run) runBlob(ctx context.Context, id string, argv []string, op string) error {
	if !ofChars(id, "-_") {
		return fmt.Errorf("blob id %q: want [-A-Za-z0-9_]", id)
	}
	file := bootDir + "/manifest." + id
	if err := r.fetchBlob(ctx, id, file); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, r.path(file), append(argv, op)...)
	cmd.Dir = r.Root
	return r.logged(cmd)
}

func (r *Run) fetchBlob(ctx context.Context, id, file string) error {
	key, err := r.keyHash()
	if err != nil {
		return err
	}
	q := url.Values{}
	if old, err := os.ReadFile(r.path(file)); err == nil {
		sum := sha1.Sum(old) // the server's way to say "that one", no protection
		q.Set("hash", hex.EncodeToString(sum[:]))
	}
	u, err := r.webAt("", "/blob/read/"+key+"/"+id, q)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(r.path(bootDir), "manifest.*")
	if err != nil {
		return err
	}
	p := &pkg{file: f, own: true}
	defer p.close()
	res, err := r.get(ctx, u, f, key, "blob "+id)
	if err != nil || res.NotModified {
		return err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, res.Bytes))
	if err != nil {
		return err
	}
	_, err = r.put(file, text, 0o755, false)
	return err
}
