package steps

import (
	"context"
	"errors"
	"os/exec"

	"emujail/protocol"
)

const syncServerFile = bootDir + "/syncserver"

// syncServer writes which node the experiment's barriers are at. If it's this
// one, Emulab's sync daemon is started, where the user's root has it.
func syncServer(_ context.Context, r *Run) error {
	reply, err := r.cached("syncserver")
	if err != nil {
		return err
	}
	if len(reply) == 0 {
		return unless(errors.Join(r.endDaemon("syncd"), r.remove(syncServerFile)), "no sync server")
	}
	s, err := protocol.ParseSyncServer(reply)
	if err != nil {
		return err
	}
	if !hostName(s.Server) {
		return errors.New("the server's name is none")
	}
	changed, err := r.put(syncServerFile, []byte(s.Server+"\n"), 0o644, false)
	if err != nil {
		return err
	}
	if changed {
		r.did("sync server is %s", s.Server)
	}
	if !s.IsServer {
		return r.endDaemon("syncd")
	}
	daemon, err := exec.LookPath("emulab-syncd")
	if err != nil {
		r.lacks("this node is the sync server, and its root has no emulab-syncd")
		return r.endDaemon("syncd")
	}
	return r.daemon("syncd", logDir+"/syncserver.debug", daemon, "-v")
}

func stopSyncServer(_ context.Context, r *Run) error { return r.endDaemon("syncd") }

func removeSyncServer(_ context.Context, r *Run) error { return r.remove(syncServerFile) }
