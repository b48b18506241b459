package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// jailed is the figures of whole jails. `jailsetup bench` takes them, for anyone;
// here they are held against what is promised.
func jailed() []figure {
	return []figure{
		{name: "phase_one", limit: 1, measure: jailFigure("phase_one")},
		{name: "kill", limit: 4, measure: jailFigure("kill")},
		{name: "linear_50", limit: 1.3, measure: jailFigure("linear_50")},
		{name: "mem_outside", unit: "MiB", limit: 1, measure: jailFigure("mem_outside")},
		{name: "mem_inside", unit: "MiB", limit: 4, measure: jailFigure("mem_inside")},
		{name: "idle_cpu", unit: "%", limit: 0.5, measure: jailFigure("idle_cpu")},
		{name: "adoption", unit: "s", limit: 1, measure: jailFigure("adoption")},
		{name: "enter", unit: "ms", limit: 50, measure: jailFigure("enter")},
		{name: "lan", limit: 0.9, least: true, measure: jailFigure("lan")},
	}
}

// jailPrograms are what a host of jails needs, in one directory.
func jailPrograms() []string {
	return []string{
		"emujail/jailsetup", "emujail/tmcd-mock", "emujail/tmcc", "emujail/jailsetup/injail", "emujail/jailsetup/injail/injail-rc",
		"emujail/jailsetup/spawn/jailspawn", "emujail/jailsetup/shape/delaynode",
	}
}

// jailFigure has jailsetup measure one figure.
func jailFigure(name string) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		if os.Geteuid() != 0 {
			return 0, fmt.Errorf("jails need root")
		}
		var jailsetup string
		for _, pkg := range jailPrograms() {
			file, err := b.build(pkg)
			if err != nil {
				return 0, err
			}
			if filepath.Base(file) == "jailsetup" {
				jailsetup = file
			}
		}
		cmd := exec.Command(jailsetup, "bench", "--json", name)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		var said struct {
			Value float64
			Notes []string
		}
		if jsonErr := json.Unmarshal(out, &said); jsonErr != nil {
			return 0, fmt.Errorf("jailsetup bench %s: %w", name, err) // a figure that is short is said, too
		}
		for _, note := range said.Notes {
			b.note("%s", note)
		}
		return said.Value, nil
	}
}
