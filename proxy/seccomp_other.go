//go:build linux && !amd64 && !arm64 && !riscv64

package proxy

import (
	"fmt"
	"runtime"
)

func filter(int) error { return fmt.Errorf("no filter for %s", runtime.GOARCH) }
