//go:build linux && !privileged

package emujail

import (
	"os"
	"syscall"
	"testing"
)

// TestReadmeRuns types what the README shows to anybody.
func TestReadmeRuns(t *testing.T) {
	attr, prepare := &syscall.SysProcAttr{}, ""
	if os.Geteuid() == 0 {
		attr, prepare = isolated()
	}
	runReadme(t, attr, prepare, "run")
}
