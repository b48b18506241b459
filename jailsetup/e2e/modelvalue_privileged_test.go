//go:build linux && privileged

package e2e

import (
	"slices"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// life is what the model knows of a vnode; the zero value: there is no jail.
type life struct {
	there   bool // with a disk
	up      bool
	desired jail.Desired
	data    string // what the user has on the disk, synced
}

// model is what should be.
type model struct {
	lives  map[string]life
	listed []string // tmcd's list: vnodes that are in an experiment
	shaped uint64   // b's shape was changed while the process that began then was its first
}

func newModel(vnodes []string) *model {
	return &model{lives: map[string]life{}, listed: slices.Clone(vnodes)}
}

// Verbs as the model knows them.
const (
	boot, halt, kill, reboot, setup = "boot", "halt", "kill", "reboot", "setup"
)

// booted is a life that goes on with what was there before.
func (l life) booted() life { return life{there: true, up: true, desired: jail.Running, data: l.data} }

// down is a life whose jail has ended.
func (l life) down(d jail.Desired) life { return life{there: true, desired: d, data: l.data} }

// after is what a verb makes of the vnode, and its exit code.
func (m *model) after(verb, vnode string) (life, int) {
	l, listed := m.lives[vnode], slices.Contains(m.listed, vnode)
	switch verb {
	case boot:
		switch {
		case l.up:
			return l, supervise.CodeFailed
		case !listed:
			return l, supervise.CodeNotAllocated
		}
		return l.booted(), supervise.CodeOK
	case halt:
		if !l.there {
			return l, supervise.CodeFailed
		}
		return l.down(jail.Halted), supervise.CodeOK
	case kill:
		return life{}, supervise.CodeOK
	case reboot:
		if l.there {
			l = l.down(jail.Halted)
		}
	case setup:
		l = life{}
	}
	if !listed {
		return l, supervise.CodeNotAllocated
	}
	return l.booted(), supervise.CodeOK
}

// halfway are the lives that a verb may leave if it, or what carries it out, is
// cut off anywhere, once somebody has cleaned up.
func (m *model) halfway(verb, vnode string) []life {
	before := m.lives[vnode]
	after, _ := m.after(verb, vnode)
	all := []life{before, after}
	switch {
	case before.there:
		if verb != boot || !before.up { // a boot of a running jail does nothing
			all = append(all, before.down(jail.Halted))
		}
		if !before.up || verb == reboot {
			all = append(all, before.down(jail.Running), before.down(before.desired))
		}
		if verb == setup {
			all = append(all, life{})
		}
	case verb != halt:
		all = append(all, life{})
	}
	return all
}

// either are the lives after two verbs for one vnode at once: one comes first.
func (m *model) either(first, second, vnode string) []life {
	var all []life
	for _, order := range [][2]string{{first, second}, {second, first}} {
		try := &model{lives: map[string]life{vnode: m.lives[vnode]}, listed: m.listed}
		for _, verb := range order {
			try.lives[vnode], _ = try.after(verb, vnode)
		}
		all = append(all, try.lives[vnode])
	}
	return all
}

// wide is a verb for the whole host: what it makes of each vnode, by verbs.
func (m *model) wide(option string) map[string]string {
	verbs := map[string]string{}
	all := func(verb string) {
		for v, l := range m.lives {
			if l.there {
				verbs[v] = verb
			}
		}
	}
	switch option {
	case "--halt":
		all(halt)
	case "--kill":
		all(kill)
	case "--reboot":
		all(reboot)
	case "--reconfig":
		all(kill)
		for _, v := range m.listed {
			if m.lives[v].there {
				verbs[v] = reboot
			} else {
				verbs[v] = boot
			}
		}
	default:
		for _, v := range m.listed {
			verbs[v] = boot
		}
	}
	return verbs
}
