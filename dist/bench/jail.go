package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"emujail/jailsetup/measure"
)

// jailed is the figures of whole jails, outside and inside. `jailsetup bench` takes
// them, for anyone, and knows what is promised.
func jailed() (list []figure) {
	for _, f := range measure.Figures() {
		list = append(list, figure{name: f.Name, unit: f.Unit, limit: f.Limit, least: f.Least,
			measure: func(b *bench) (float64, error) { return b.jailFigure(f) }})
	}
	return list
}

// jailPrograms are what a host of jails needs, in one directory.
func jailPrograms() []string {
	return []string{
		"emujail/jailsetup", "emujail/tmcd-mock", "emujail/tmcc", "emujail/jailsetup/injail", "emujail/jailsetup/injail/injail-rc",
		"emujail/jailsetup/spawn/jailspawn", "emujail/jailsetup/shape/delaynode",
	}
}

// jailFigure has jailsetup measure one figure, and with it the others that are
// wanted of its jails.
func (b *bench) jailFigure(f measure.Figure) (float64, error) {
	if _, ok := b.taken[f.Name]; !ok {
		names := []string{f.Name}
		for _, other := range measure.Figures() {
			if f.Idle() && other.Idle() && other.Name != f.Name && b.wants(other.Name) {
				names = append(names, other.Name)
			}
		}
		if err := b.takeJails(names); err != nil {
			return 0, err
		}
	}
	said := b.taken[f.Name]
	for _, note := range said.Notes {
		b.note("%s", note)
	}
	return said.Value, nil
}

// jailsTimeout bounds the measuring of all of them: they take some fifteen minutes.
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
		var said measure.Figure
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
