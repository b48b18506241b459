// Package limit puts a jail into cgroups of its own and bounds what it may
// use: processes, memory, share of the processors (jail.md S20, S23).
//
// The v2 directory serves killing, attestation and BPF programs; limits are
// written where the kernel's controllers are, in v2 or in the v1 hierarchies
// beside it (spec/linux.md §7). A jail's directories lie below one named emulab in
// each hierarchy, which goes with the last jail.
//
// The undo, [KindCgroup], kills what is left in the v2 directory and removes
// all directories; it bears a jail that never began and one that is gone.
package limit
