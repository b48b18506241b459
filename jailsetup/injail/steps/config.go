package steps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"emujail/protocol"
)

// directories makes what all steps write into, and says who we are where the
// programs of Emulab look for it.
func directories(_ context.Context, r *Run) error {
	for _, d := range []string{bootDir, dbDir, logDir, lockDir, localLog, "/run/injail"} {
		if err := os.MkdirAll(r.path(d), 0o755); err != nil {
			return err
		}
	}
	var errs []error
	for _, name := range []string{"jailname", "nodeid"} {
		_, err := r.put(bootDir+"/"+name, []byte(r.VNode+"\n"), 0o644, false)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// fetchConfig asks for the whole configuration at once and keeps it: all later
// steps are answered from there, and tmcd is asked once.
func fetchConfig(ctx context.Context, r *Run) error {
	reply, err := r.ask(ctx, "fullconfig")
	if err != nil {
		return err
	}
	if len(reply) == 0 {
		return whyEmpty(ctx, r)
	}
	blocks, err := protocol.SplitFullConfig(reply)
	if err != nil {
		return fmt.Errorf("reply to fullconfig: %w", err)
	}
	return r.Cache.Fill(blocks)
}

// whyEmpty tells a node that belongs to nobody, which is no failure, from a
// tmcd that doesn't want to answer.
func whyEmpty(ctx context.Context, r *Run) error {
	s, err := askStatus(ctx, r)
	if err != nil {
		return err
	}
	if s.Free {
		return errFree
	}
	return fmt.Errorf("tmcd gives no configuration for %s: %w", r.VNode, protocol.ErrEmptyReply)
}

func askStatus(ctx context.Context, r *Run) (protocol.Status, error) {
	reply, err := r.ask(ctx, "status")
	if err != nil {
		return protocol.Status{}, err
	}
	if len(reply) == 0 {
		return protocol.Status{}, fmt.Errorf("tmcd gives no status of %s: %w", r.VNode, protocol.ErrEmptyReply)
	}
	return protocol.ParseStatus(reply)
}

// nickname writes vname.eid.pid. The host has asked for it already and handed
// it over, at each boot; without that, and when configured anew, tmcd is asked.
func nickname(ctx context.Context, r *Run) error {
	vname, eid, pid := r.Conf.NickName, r.Conf.EID, r.Conf.PID
	if vname == "" || eid == "" || pid == "" {
		s, err := askStatus(ctx, r)
		if err != nil {
			return err
		}
		if s.Free {
			return errors.Join(errFree, removeNickname(ctx, r))
		}
		vname, eid, pid = s.NickName, s.EID, s.PID
	}
	name := strings.Join([]string{vname, eid, pid}, ".")
	changed, err := r.put(bootDir+"/nickname", []byte(name+"\n"), 0o644, false)
	if changed {
		r.did("%s is %s", r.VNode, name)
	}
	return err
}

func removeNickname(_ context.Context, r *Run) error { return r.remove(bootDir + "/nickname") }
