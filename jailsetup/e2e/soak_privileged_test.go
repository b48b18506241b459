//go:build linux && privileged && soak

package e2e

// soak asks for the long runs.
const soak = true
