//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/jail"
	"emujail/tmcd-mock/testbed"
)

// TestFiles: every example's files can be read.
func TestFiles(t *testing.T) {
	seen := 0
	for _, e := range examples() {
		if _, err := testbed.Load(filepath.Join("..", e.name, "testbed.yaml")); err != nil {
			t.Error(err)
		}
		seen++
	}
	sites, err := filepath.Glob("../*/site*.yaml")
	if err != nil || len(sites) < 2 {
		t.Fatal(sites, err)
	}
	for _, path := range sites {
		if _, err := jail.LoadSite(path); err != nil {
			t.Error(err)
		}
	}
	if seen != 5 {
		t.Errorf("%d examples", seen)
	}
}

func TestFewer(t *testing.T) {
	file, err := fewer("../fifty-nodes/testbed.yaml", t.TempDir(), 10)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "node-"); n != 20 || strings.Contains(string(text), "node-11") {
		t.Errorf("%d lines of nodes:\n%s", n, text)
	}
	if _, err := testbed.Load(file); err != nil {
		t.Error(err)
	}
}
