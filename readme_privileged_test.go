//go:build linux && privileged

package emujail

import "testing"

// TestReadmeRuns types all of the README.
func TestReadmeRuns(t *testing.T) {
	attr, prepare := isolated()
	runReadme(t, attr, prepare, "run", "run root")
}
