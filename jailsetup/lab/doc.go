// Package lab is one person's testbed on one host: a tmcd-mock that serves a
// testbed file on the host's control address, with a site file that leads this
// host's jails to it. `jailsetup up FILE` makes one, `jailsetup down` removes
// it.
//
//	testbed.go  what must be known of the file: this host, its vnodes
//	lab.go      certificates, site file, tmcd-mock: made, asked, removed
//
// tmcd-mock is a program to it, not a package: the file is read by
// `tmcd-mock export`, states are asked by `tmcd-mock show --json`. It trusts
// the file's author, who is root here; of jails it knows nothing.
package lab
