//go:build linux && privileged

package emujail

import (
	"syscall"
	"testing"
)

// TestReadmeRuns types all of the README, in a network and a mount namespace of
// its own: jails and supervisor are thrown away with them, and neither meet
// those of other tests nor of this host.
func TestReadmeRuns(t *testing.T) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	const prepare = `ip link set lo up && mount --make-rprivate / && mount -t tmpfs none /run &&
mkdir -p /var/emulab && mount -t tmpfs none /var/emulab && `
	runReadme(t, attr, prepare, "run", "run root")
}
