// Package rootfs makes the disk of a jail: an ext4 image, cloned from a
// template that is made once per host and content.
//
// The template is built from an allow-list, never copied and then cleaned: a
// file gets into a jail's /etc because it is named here and because anybody on
// the host may read it ([allowed]). Accounts are stubs with no password
// ([stubAccounts]); host keys are made by the jail itself; /usr/local and /opt
// start empty. So nothing secret of the host can be in a jail (jail.md S1,
// S29), whatever the host's administrator adds.
//
//	etc.go       which files of the host's /etc
//	accounts.go  passwd, group, shadow, gshadow
//	resolv.go    whom a jail asks for names
//	skeleton.go  directories, links and empty files
//	masks.go     what others can't read below /usr, to be covered at boot
//	template.go  all of that through mkfs.ext4 -d, named by its content's hash
//	image.go     the jail's own copy, sparse
//
// After the first boot the image belongs to the jail: the host never writes,
// follows or removes a path in it. What must be fresh at every boot is given
// in /run/emulab (package tree). Design decisions 8 and 10.
package rootfs
