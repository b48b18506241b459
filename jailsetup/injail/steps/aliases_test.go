package steps

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestAliases: a boot that finds an alias missing begins anew, once; later, and
// where the host has asked, it's a failure that is seen.
func TestAliases(t *testing.T) {
	const (
		plain   = "INTERFACE IFACETYPE=any INET=10.1.1.2 MASK=255.255.255.0 MAC=020a01010201 SPEED=100Mbps DUPLEX=full IFACE= RTABID= LAN=lan0\n"
		missing = plain + "INTERFACE IFACETYPE=alias INET=192.0.2.22 MASK=255.255.255.0 ID=9 VMAC=020a01010201 PMAC=none RTABID= ENCAPSULATE=0 LAN=lan0 VTAG=\n"
	)
	there := strings.Replace(missing, "192.0.2.22", "127.0.0.1", 1)
	for _, row := range []struct {
		name, reply string
		asked, up   bool // the host has asked; ISUP was reported in this boot
		status      Status
		why         string
		reboots     int
		state       string
	}{
		{"no interfaces", "", false, false, Skipped, "no aliases", 0, "ISUP"},
		{"no alias", plain, false, false, Skipped, "no aliases", 0, "ISUP"},
		{"there", there, false, false, OK, "", 0, "ISUP"},
		{"missing", missing, false, false, Skipped, "an alias is new", 1, ""},
		{"missing although the host has asked", missing, true, false, Failed, "hasn't made alias 192.0.2.22", 0, "ISUP"},
		{"missing in a node that is up", missing, false, true, Failed, "at the next reboot: alias 192.0.2.22", 0, "ISUP"},
	} {
		t.Run(row.name, func(t *testing.T) {
			j := newJail(t)
			j.tmcd.set("ifconfig", row.reply)
			reboots := 0
			j.Reboot = func() error { reboots++; return nil }
			if row.asked {
				j.Conf.Aliases = "asked"
			}
			if row.up {
				mustWrite(t, j.path(wasUp), "")
			}
			sum, err := j.Do(context.Background(), Boot)
			if err != nil {
				t.Fatal(err)
			}
			r := step(t, sum, "aliases")
			if r.Status != row.status || !strings.Contains(r.Why, row.why) || reboots != row.reboots || sum.State != row.state {
				t.Errorf("%s %q, %d reboots, state %q", r.Status, r.Why, reboots, sum.State)
			}
			if n := j.tmcd.count("state"); row.state == "" && n > 0 {
				t.Errorf("%d states reported", n)
			}
		})
	}
	t.Run("it can't reboot", func(t *testing.T) {
		j := newJail(t)
		j.tmcd.set("ifconfig", missing)
		j.Reboot = func() error { return errors.New("no init") }
		if _, err := j.Do(context.Background(), Boot); err == nil || !strings.Contains(err.Error(), "no init") {
			t.Errorf("error %v", err)
		}
	})
}
