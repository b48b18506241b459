package supervise

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"emujail/jailsetup/jail"
)

// policyInterval is how often policy files are looked at: what an operator
// changes counts within it, or at once by SIGHUP.
const policyInterval = 2 * time.Second

// mind keeps the proxy's log and rules as they should be until ctx ends: a full
// log is rotated, a changed rule is handed over, and on SIGHUP all logs are
// opened again.
func (k *proxyKeeper) mind(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(policyInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.full:
			k.renewAudit(true)
		case <-hangup:
			if err := reopenStderr(k.site); err != nil {
				k.log.Error("own log is not opened again", "error", err)
			}
			k.renewAudit(false)
			k.renewPolicies()
		case <-tick.C:
			k.renewPolicies()
		}
	}
}

// renewAudit gives the proxy the log again. A proxy that is just coming up gets
// it anyway.
func (k *proxyKeeper) renewAudit(begin bool) {
	t := k.current()
	if t == nil {
		return
	}
	if err := k.giveAudit(t, begin); err != nil && !t.over() {
		k.log.Error("audit log is not opened: lines are lost until SIGHUP", "error", err)
	}
}

// logName is where a supervisor that a verb started writes.
const logName = "serve.log"

// reopenStderr opens the log again that a verb's supervisor writes to, if it was
// renamed meanwhile. Where standard error is somebody else's, it stays.
func reopenStderr(site jail.Site) (err error) {
	path := filepath.Join(site.State, logName)
	ours, err := os.Readlink("/proc/self/fd/2")
	if err != nil || filepath.Dir(ours) != filepath.Dir(path) {
		return err
	}
	return leadTo(path, 2)
}
