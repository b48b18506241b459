package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// jailed is the figures of whole jails. `jailsetup bench` takes them, for anyone;
// here they are held against what is promised.
func jailed() []figure {
	return []figure{
		{name: "phase_one", limit: 1, measure: jailFigure("phase_one")},
		{name: "kill", limit: 4, measure: jailFigure("kill")},
		{name: "linear_50", limit: 1.3, measure: jailFigure("linear_50")},
		{name: "mem_outside", unit: "MiB", limit: 1, measure: jailFigure("mem_outside")},
		{name: "idle_cpu", unit: "%", limit: 0.5, measure: jailFigure("idle_cpu")},
		{name: "mem_inside", unit: "MiB", limit: 4, measure: jailFigure("mem_inside")},
		{name: "adoption", unit: "s", limit: 1, measure: jailFigure("adoption")},
		{name: "enter", unit: "ms", limit: 50, measure: jailFigure("enter")},
		{name: "lan", limit: 0.9, least: true, measure: jailFigure("lan")},
		{name: "shape_rate", unit: "%", limit: 5, measure: jailFigure("shape_rate")},
		{name: "shape_delay", unit: "%", limit: 99, least: true, measure: jailFigure("shape_delay")},
		{name: "delay_kpps", limit: 120, least: true, measure: jailFigure("delay_kpps")},
		{name: "neighbour", limit: 2, measure: jailFigure("neighbour")},
	}
}

// together are figures of the same twenty idle jails: those that are wanted are
// taken in one go.
func together() []string { return []string{"mem_outside", "idle_cpu", "mem_inside", "adoption"} }

// jailPrograms are what a host of jails needs, in one directory.
func jailPrograms() []string {
	return []string{
		"emujail/jailsetup", "emujail/tmcd-mock", "emujail/tmcc", "emujail/jailsetup/injail", "emujail/jailsetup/injail/injail-rc",
		"emujail/jailsetup/spawn/jailspawn", "emujail/jailsetup/shape/delaynode",
	}
}

// taken is what `jailsetup bench` says of a figure.
type taken struct {
	Name  string
	Value float64
	Notes []string
}

// jailFigure has jailsetup measure one figure, and others that share its jails.
func jailFigure(name string) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		said, ok := b.taken[name]
		if !ok {
			names := []string{name}
			if slices.Contains(together(), name) {
				names = slices.DeleteFunc(together(), func(n string) bool { return !b.wants(n) })
			}
			if err := b.takeJails(names); err != nil {
				return 0, err
			}
			said = b.taken[name]
		}
		for _, note := range said.Notes {
			b.note("%s", note)
		}
		return said.Value, nil
	}
}

// jailsTimeout bounds the measuring of all of them: they take some five minutes.
const jailsTimeout = 30 * time.Minute

// takeJails has jailsetup measure them all. That one is short is no error here.
func (b *bench) takeJails(names []string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("jails need root")
	}
	var jailsetup string
	for _, pkg := range jailPrograms() {
		file, err := b.build(pkg)
		if err != nil {
			return err
		}
		if filepath.Base(file) == "jailsetup" {
			jailsetup = file
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), jailsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, jailsetup, append([]string{"bench", "--json"}, names...)...)
	cmd.Stderr = os.Stderr
	out, runErr := cmd.Output()
	for line := range bytes.Lines(out) {
		var said taken
		if err := json.Unmarshal(line, &said); err != nil {
			return fmt.Errorf("jailsetup bench: %w", err)
		}
		b.taken[said.Name] = said
	}
	for _, n := range names {
		if _, ok := b.taken[n]; !ok {
			return fmt.Errorf("jailsetup bench says nothing of %s (%v)", n, runErr)
		}
	}
	return nil
}
