package steps

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"emujail/jailsetup/injail/agents"
	"emujail/jailsetup/injail/steps/passwd"
	"emujail/protocol"
)

// rootRecord holds the hash that root has from us: another one is somebody's own.
const rootRecord = agents.RootRecord

// locked is a hash that no password has.
const locked = "*"

// rootPassword gives root the password that the node has at tmcd (ROOTHASH of
// jailconfig, jail.md §2.4), and takes it away where the node has none any more. A
// password that somebody inside has chosen is kept until tmcd names one. tmcd
// salts anew each time, so that a hash that differs says nothing new.
func rootPassword(ctx context.Context, r *Run) error {
	reply, err := r.cached("jailconfig")
	if err != nil {
		return err
	}
	config, err := protocol.ParseJailConfig(reply)
	if err != nil {
		return err
	}
	if config.RootHash == "" {
		return unless(lockRoot(ctx, r), "no root password")
	}
	if !passwd.ValidField(config.RootHash) {
		return errors.New("ROOTHASH holds a colon or a control character")
	}
	was, err := r.setRoot(ctx, func(string) string { return config.RootHash })
	if err != nil {
		return err
	}
	before, err := r.rootRecord()
	if err != nil {
		return err
	}
	if before == "" || was != before {
		r.did("root has a password")
	}
	_, err = r.put(rootRecord, []byte(config.RootHash), 0o600, false)
	return err
}

// lockRoot takes the password away that we have set.
func lockRoot(ctx context.Context, r *Run) error {
	ours, err := r.rootRecord()
	if err != nil || ours == "" {
		return err
	}
	was, err := r.setRoot(ctx, func(now string) string {
		if now == ours {
			return locked
		}
		return now
	})
	if err != nil {
		return err
	}
	if was == ours {
		r.did("root has no password any more")
	}
	return r.remove(rootRecord)
}

// setRoot changes root's hash and returns what it was.
func (r *Run) setRoot(ctx context.Context, change func(now string) string) (was string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	db, err := passwd.Open(ctx, r.path("/etc"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	root, ok := db.User("root")
	if !ok {
		return "", errors.New("no user root")
	}
	was, _ = db.Hash("root")
	if next := change(was); next != was {
		db.SetUser(root, next)
	}
	_, err = db.Save()
	return was, err
}

func (r *Run) rootRecord() (string, error) {
	text, err := os.ReadFile(r.path(rootRecord))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}
