package main

import (
	"os"
	"slices"
)

// noMemory is what S17 attacks and this host has nowhere.
func noMemory() []string { return lacking("/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore") }

// noModules is what S26 attacks and this host hasn't, or mustn't have done to it.
func noModules() []string {
	var parts []string
	for path, what := range map[string]string{"/proc/modules": "modules", "/sys/kernel/kexec_loaded": "kexec"} {
		if len(lacking(path)) > 0 {
			parts = append(parts, "no "+what)
		}
	}
	slices.Sort(parts)
	return append(parts, "to set the clock would harm the host")
}

func lacking(paths ...string) (none []string) {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			none = append(none, "no "+path)
		}
	}
	return none
}
