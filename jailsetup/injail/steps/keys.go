package steps

import (
	"context"
	"errors"

	"emujail/protocol"
)

// keys writes the key hash, which opens the web server to us, and the event
// key, which proves events: the one with a newline, the other without
// (jail.md §3.4, row 5). An empty reply takes the file away.
func keys(_ context.Context, r *Run) error {
	reply, err := r.cached("keyhash")
	if err != nil {
		return err
	}
	hash, err := protocol.ParseKeyHash(reply)
	r.warnAll(err)
	reply, err = r.cached("eventkey")
	if err != nil {
		return err
	}
	key, err := protocol.ParseEventKey(reply)
	r.warnAll(err)
	text := string(hash)
	if text != "" {
		text += "\n"
	}
	return errors.Join(r.keyFile("keyhash", text), r.keyFile("eventkey", string(key)))
}

func (r *Run) keyFile(name, text string) error {
	path := bootDir + "/" + name
	if text == "" {
		return r.remove(path)
	}
	changed, err := r.put(path, []byte(text), 0o444, false)
	if changed {
		r.did("%s written", name)
	}
	return err
}

func removeKeys(_ context.Context, r *Run) error {
	return r.remove(bootDir+"/keyhash", bootDir+"/eventkey")
}
