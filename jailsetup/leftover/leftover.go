// Package leftover lists what jails could leave behind on a host, so that two
// listings can be held against each other: before a jail and after it.
//
//	scope := leftover.Scope{Socket: func(path string) bool { return strings.HasPrefix(path, "/run/demo") }}
//	before, err := scope.List()
//	…
//	after, err := scope.List()
//	err = before.Diff(after) // sockets: left: /run/demo/jails/pcvm1-1/tmcc
//
// What a host shares with others changes by itself; a [Scope] says which part of
// it counts. It is for the demo and for tests: nothing of a running jail
// depends on it, and it changes nothing. Reading rules takes root.
package leftover

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Listing is what there is, a sorted list of lines a kind.
type Listing map[string][]string

// Diff says what is now and wasn't, or was and isn't; nil: nothing.
func (l Listing) Diff(now Listing) error {
	var errs []error
	for _, kind := range slices.Sorted(maps.Keys(l)) {
		for _, line := range now[kind] {
			if !slices.Contains(l[kind], line) {
				errs = append(errs, fmt.Errorf("%s: left: %s", kind, line))
			}
		}
		for _, line := range l[kind] {
			if !slices.Contains(now[kind], line) {
				errs = append(errs, fmt.Errorf("%s: gone: %s", kind, line))
			}
		}
	}
	return errors.Join(errs...)
}

// Lister lists the lines of one kind, in any order.
type Lister func() ([]string, error)

// Scope is which part of the host counts. A nil function means all of it.
type Scope struct {
	Mount    func(point string) bool   // mounts, by their mount points
	Backing  func(path string) bool    // loop devices, by their backing files
	Socket   func(path string) bool    // unix sockets with a path; abstract ones begin with @
	Listener func(address string) bool // listening TCP sockets: ADDRESS:PORT as the kernel's table has them, in hex
	Numbers  bool                      // interfaces with their numbers: one that was made again is another
	More     map[string]Lister         // kinds that are the caller's own
}

func counts(f func(string) bool, s string) bool { return f == nil || f(s) }
