package steps

import (
	"context"
	"fmt"
	"os/exec"

	"emujail/protocol"
)

const birdConf = bootDir + "/bird.conf"

// route starts the routing daemon where the experiment wants OSPF (jail.md
// §3.4, row 11). Static routes and forwarding are made outside, before the
// first process runs.
func route(_ context.Context, r *Run) error {
	reply, err := r.cached("routing")
	if err != nil {
		return err
	}
	list, err := protocol.ParseRouting(reply)
	r.warnAll(err)
	if list.Type != "ospf" && list.Type != "gated" {
		return unless(r.endDaemon("bird"), "routes are made outside")
	}
	bird, err := exec.LookPath("bird")
	if err != nil {
		r.lacks("ROUTERTYPE=%s: this root has no bird", list.Type)
		return fmt.Errorf("no routes: ROUTERTYPE=%s is bird's: %w", list.Type, err)
	}
	if _, err := r.put(birdConf, ospfConf(r.Conf.CtrlIf), 0o644, false); err != nil {
		return err
	}
	return r.daemon("bird", logDir+"/bird.debug", bird, "-f", "-c", r.path(birdConf), "-s", r.path("/run/injail/bird.ctl"))
}

// ospfConf speaks on every interface but the control one, which is announced
// by nobody: it isn't the experiment's.
func ospfConf(control string) []byte {
	if control == "" {
		control = "eth0"
	}
	return fmt.Appendf(nil, `# Written by Emulab from the experiment's routing.
protocol device {}
protocol kernel { ipv4 { export all; }; }
protocol ospf v2 {
	ipv4 { import all; export none; };
	area 0.0.0.2 {
		interface "%s" { stub yes; };
		interface "*" { priority 1; };
	};
}
`, control)
}

func stopRoute(_ context.Context, r *Run) error { return r.endDaemon("bird") }
