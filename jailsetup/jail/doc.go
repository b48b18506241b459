// Package jail makes, ends and remembers the jails of a host: it composes the
// steps of the packages below it into a plan and knows the way back.
//
//	site.go    what the operator settles for this host
//	record.go  what is known of each jail, on disk: desired and actual state
//	ids.go     a range of ids that no other jail and no user has
//	ask.go     what tmcd says this vnode should be, as typed values
//	plan.go    all of that in, a list of steps out; it asks and does nothing
//	steps.go   the steps that are this package's own
//	undo.go    from an undo's kind to its deed
//	life.go    boot, halt, kill, reboot; recovery after a crash
//
// A jail has two undo logs. What disk.log names belongs to the jail until it
// is killed: its directory, its image. What boot.log names lasts for one boot:
// cgroups, links, sockets, processes. Halting reads the second backwards,
// killing both. "Halted, keep the disk" and "destroyed" are thus recorded, never
// inferred from a signal (design decision 10).
//
// Whatever happens, a jail's record on disk says where it stands, and
// [Host.Recover] reconciles it with what is: adopt what runs, undo what was
// half done.
package jail
