package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// walk calls f for every command that a user sees.
func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			walk(sub, f)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	walk(newRootCommand(), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		if c.RunE == nil || c.Args == nil && c.Name() != "show" {
			t.Errorf("%s: no RunE, or arguments unchecked", c.CommandPath())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if line != "" && !strings.HasPrefix(line, "  tmcd-mock ") {
				t.Errorf("%s: example %q", c.CommandPath(), line)
			}
		}
	})
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if code := run(context.Background(), []string{"completion", shell}, &out, os.Stderr); code != exitOK || out.Len() < 1000 {
			t.Errorf("%s: exit %d, %d bytes", shell, code, out.Len())
		}
	}
	var out bytes.Buffer
	if code := run(context.Background(), []string{"__complete", "pk"}, &out, &bytes.Buffer{}); code != exitOK || !strings.Contains(out.String(), "pki\t") {
		t.Errorf("exit %d, %q", code, out.String())
	}
}
