//go:build !lean

package main

import (
	"fmt"
	"os"
	"runtime"

	"emujail/proxy"
)

// confine is what a proxy does with root's rights, if it has them: it gives
// them away before it reads the first byte of a jail's. From then on it opens
// no file and looks up no name, so a server whose certificate bears a name must
// be named that way (-s, BOSSNAME, bossnode). Where nothing can be given away
// the proxy is as safe as the user that runs it; for root without capabilities
// the unit tmcc-proxy@.service has done what can be done.
func confine() func() (*os.File, error) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" || proxy.Bare() {
		return nil
	}
	return func() (*os.File, error) {
		proc, err := proxy.Confine(proxy.User, proxy.User)
		if err != nil {
			return nil, fmt.Errorf("%w (a proxy may also be run by an ordinary user)", err)
		}
		return proc, nil
	}
}
