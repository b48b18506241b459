// Package supervise is `jailsetup serve`: the one process a host that holds the
// jails' sockets, keeps the proxy alive, watches the first processes and does
// what the verbs ask for.
//
//	api.go     what verbs and supervisor say to each other, and the verbs' side
//	serve.go   start, order of start, end
//	verbs.go   boot, halt, reboot, kill, list, hostports: one at a time a vnode
//	clean.go   stop --clean: the end of all jails
//	doors.go   the two sockets of each jail
//	console.go sessions of `enter`: frames between a verb and a jail's init
//	proxy.go   the proxy's process: started, told, started again
//	watch.go   the end of first processes
//
// It trusts root on the host and nobody else. What comes out of a jail, its
// init's words included, is bounded in length and time and is passed on only as
// bytes to the terminal of `enter`.
//
// What it knows is on disk (package jail): killed or upgraded, the next one
// adopts every jail, and no jail notices but by its sockets being bound anew.
// Design decision 3.
package supervise
