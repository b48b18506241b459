package main

import (
	"flag"
	"testing"

	"emujail/dist/manual"
)

var update = flag.Bool("update", false, "write manual pages and completions anew")

// Manual pages and completions are what the commands' help makes.
func TestManual(t *testing.T) {
	files, err := manual.Of(newRootCommand(), manual.Options{Defaults: map[string]string{
		"manage": "/run/emulab/tmcd-mock.sock for root, else emulab/tmcd-mock.sock below XDG_RUNTIME_DIR",
	}})
	if err != nil {
		t.Fatal(err)
	}
	manual.Check(t, "..", "tmcd-mock", files, *update)
}
