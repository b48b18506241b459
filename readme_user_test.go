//go:build linux && !privileged

package emujail

import (
	"syscall"
	"testing"
)

// TestReadmeRuns types what the README shows to anybody.
func TestReadmeRuns(t *testing.T) {
	runReadme(t, &syscall.SysProcAttr{}, "", "run")
}
