//go:build linux

package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// planted are the secrets that the demo puts on the host before the first
// jail, each where a careless builder would take it along: a certificate's
// key, a private ssh key, files that only root reads below trees that jails
// share.
var planted = []struct {
	path string
	mode fs.FileMode
}{
	{"/etc/emujail-demo.pem", 0o644},
	{"/etc/ssh/emujail_demo_key", 0o600},
	{"/root/.emujail-demo-key", 0o600},
	{"/usr/lib/emujail-demo-secret", 0o600},
	{"/usr/local/etc/emujail-demo.pem", 0o644},
	{"/opt/emujail-demo.pem", 0o644},
}

// plantSecrets writes one random word into all of them.
func (w *world) plantSecrets() error {
	w.secret = "emujail-demo-" + rand.Text()
	for _, p := range planted {
		if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p.path, []byte(w.secret+"\n"), p.mode); err != nil {
			return err
		}
	}
	return nil
}

func removeSecrets() error {
	var errs []error
	for _, p := range planted {
		if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
