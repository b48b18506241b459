// Package e2e holds the tests of jailsetup as a whole: the real programs, with
// real jails, against a tmcd-mock of each test's own.
//
//	main_…     a network and a mount namespace of the tests' own; the programs,
//	           built once; what must be as before at the end
//	rig_…      a host with a testbed: site file, tmcd-mock, supervisor
//	listing_…  all that a jail could leave behind
//	life_…     boot, halt, reboot, kill, enter, and a jail that ends by itself
//	shared_…   jails that share the host's address
//	recorded_… the testbed of the recorded exchanges: interfaces, routes,
//	           tunnels, a remote host
//	images_…   IMAGENAME and root trees
//	bits_…     the permission bits, each in both positions
//	refuse_…   bad input: one line, the right exit code, nothing left behind
//	crash_…    kill -9 of everything, at every step, and the way back
//	model_…    random verbs, crashes and faults, against a plain value: modelvalue_…
//	           what should be, modelsteps_… and modeldo_… what happens, modelhost_…
//	           where, modelholdings_… what is
//	soak…      many boots at once, many jails, many swaps: in full with the tag soak
//	planted_…  what jail root puts in the way of the next boot (S27, T7)
//	walls_…    what jail root can't do (the S and T rows of the specification)
//	without_…  the same with walls taken away (away_…); verify_… what verify says then
//	inside/    the program that tries it, put into a jail by enter
//
// The tests need root and the build tag privileged. They touch neither the
// host's network nor its mounts; cgroups and processes are the host's, under
// names that no two runs share.
package e2e
