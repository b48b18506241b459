package emujail

import "syscall"

// isolated starts a process of root in a network and a mount namespace of its
// own: what the README starts there is thrown away with them, and neither meets
// that of other tests nor of this host.
func isolated() (attr *syscall.SysProcAttr, prepare string) {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS},
		`ip link set lo up && mount --make-rprivate / && mount -t tmpfs none /run &&
mkdir -p /var/emulab && mount -t tmpfs none /var/emulab && `
}
