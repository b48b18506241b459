package network

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"emujail/jailsetup/plan"
)

func testControl(t *testing.T) Control {
	t.Helper()
	c, err := ControlIn(netip.MustParsePrefix("172.16.0.0/12"), 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What -n prints, and what is on disk before a deed: one line, with what a
// reader and an undo need.
func TestStepsAsData(t *testing.T) {
	c := testControl(t)
	mac := MAC{2, 0, 10, 1, 1, 2}
	for _, row := range []struct {
		step       plan.Step
		line, undo string
	}{
		{HostControl{c}, "make control network 172.16.1.0/24 (host 172.16.1.0, gateway 172.16.0.1, device emuctl0)",
			`host-control {"run_dir":"/run/emulab","uplink":"emuctl0"}`},
		{Inside{IDBase: 1 << 20, Forward: true}, "prepare network namespace: lo up, ping for ids 1048576-1114111, forwarding", ""},
		{Inside{IDBase: 1 << 20, PortLow: 3000, PortHigh: 3255},
			"prepare network namespace: lo up, ping for ids 1048576-1114111, ports 3000-3255", ""},
		{ControlLink{Control: c, VNode: "pcvm1-1", Experiment: "p/e", Addr: netip.MustParseAddr("172.16.1.1"), Generation: 37, Group: 5},
			"make control interface eth0 of pcvm1-1: 172.16.1.1, MAC 02:45:ac:10:01:01, by 172.16.0.1",
			`control-link {"run_dir":"/run/emulab","vnode":"pcvm1-1","experiment":"p/e","link":"vbcy5gmad000011","addr":"172.16.1.1","mac":"02:45:ac:10:01:01","group":5}`},
		{SharedAddress{Control: Control{Address: c.Host, Pool: c.Pool, Gateway: c.Gateway, Uplink: "u"}, VNode: "pcvm1-2",
			Addr: netip.MustParseAddr("100.64.0.1"), Low: 3000, High: 3255},
			"share ports 3000-3255 of 172.16.1.0 with pcvm1-2: translated to 100.64.0.1",
			`shared-address {"control":{"prefix":"","host":"","jails":"","gateway":"172.16.0.1","uplink":"u","run_dir":"","address":"172.16.1.0",` +
				`"pool":"100.64.0.0/24"},"addr":"100.64.0.1","low":3000,"high":3255}`},
		{ExperimentNamespace{RunDir: c.RunDir, Experiment: "p/e"},
			"make network namespace " + experimentPin("p/e") + " for experiment p/e",
			`experiment-namespace {"run_dir":"/run/emulab","pin":"` + experimentPin("p/e") + `"}`},
		{ExperimentLink{RunDir: c.RunDir, Experiment: "p/e", LAN: "lan0", VNode: "pcvm1-1", Name: "eth1", Index: 1, MAC: mac,
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.1.2/24")}, Generation: 37},
			"make interface eth1 of pcvm1-1 on LAN lan0: 10.1.1.2/24, MAC 02:00:0a:01:01:02",
			`experiment-link {"run_dir":"/run/emulab","pin":"` + experimentPin("p/e") + `","vnode":"pcvm1-1","link":"vbcy5gmad010011","mac":"02:00:0a:01:01:02","addrs":["10.1.1.2/24"],"lan":"lan0-qmdpqi"}`},
	} {
		if got := row.step.String(); got != row.line {
			t.Errorf("line\n%s, want\n%s", got, row.line)
		}
		undos, err := row.step.Undo()
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, u := range undos {
			got += u.Kind + " " + string(u.Data)
			if _, ok := Deeds()[u.Kind]; !ok {
				t.Errorf("%s has no deed", u.Kind)
			}
		}
		if got != row.undo {
			t.Errorf("undo\n%s, want\n%s", got, row.undo)
		}
	}
}

// What makes no link is refused before anything is touched.
func TestStepsRefuse(t *testing.T) {
	c := testControl(t)
	c.RunDir = t.TempDir()
	addr := netip.MustParseAddr("172.16.1.1")
	link := ExperimentLink{RunDir: c.RunDir, Experiment: "p/e", LAN: "lan0", VNode: "v", Name: "eth1", Index: 1, MAC: MAC{2, 1}}
	with := func(f func(*ExperimentLink)) ExperimentLink {
		l := link
		f(&l)
		return l
	}
	for _, row := range []struct {
		name string
		step plan.Step
		want string
	}{
		{"address of another host", ControlLink{Control: c, VNode: "v", Experiment: "e", Addr: netip.MustParseAddr("172.16.2.1")}, "172.16.2.1"},
		{"host's address", ControlLink{Control: c, VNode: "v", Experiment: "e", Addr: c.Host}, "host"},
		{"no experiment", ControlLink{Control: c, VNode: "v", Addr: addr}, "experiment"},
		{"group MAC", ControlLink{Control: c, VNode: "v", Experiment: "e", Addr: addr, MAC: MAC{1}}, "group"},
		{"no namespace", ControlLink{Control: c, VNode: "v", Experiment: "e", Addr: addr}, "no network namespace"},
		{"no namespace, LAN", link, "no network namespace"},
		{"no LAN", with(func(l *ExperimentLink) { l.LAN = "" }), "LAN"},
		{"index of the control link", with(func(l *ExperimentLink) { l.Index = 0 }), "number 0"},
		{"no MAC", with(func(l *ExperimentLink) { l.MAC = MAC{} }), "zero"},
		{"tiny MTU", with(func(l *ExperimentLink) { l.MTU = 60 }), "MTU"},
		{"name with a slash", with(func(l *ExperimentLink) { l.Name = "../eth1" }), "name"},
		{"ports the wrong way", Inside{PortLow: 9, PortHigh: 8}, "port range"},
		{"experiment without a name", ExperimentNamespace{RunDir: c.RunDir}, "no experiment"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.step.Do(t.Context(), &plan.State{})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one about %q", err, row.want)
			}
		})
	}
}

// Undo records are believed only as far as they make sense, and removing what
// was never there is no error.
func TestUndoRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		name, kind, data string
		ok               bool
	}{
		{"unknown kind", "rm-rf", `{}`, false},
		{"not JSON", KindControlLink, `{`, false},
		{"pin outside", KindExperimentNamespace, `{"run_dir":"` + dir + `","pin":"x-/../../etc"}`, false},
		{"pin of the control namespace", KindExperimentNamespace, `{"run_dir":"` + dir + `","pin":"control"}`, false},
		{"link in a pin outside", KindExperimentLink, `{"run_dir":"` + dir + `","pin":"x-/../../etc","link":"v1"}`, false},
		{"namespace that isn't", KindExperimentNamespace, `{"run_dir":"` + dir + `","pin":"x-a"}`, true},
		{"link that isn't", KindExperimentLink, `{"run_dir":"` + dir + `","pin":"x-a","link":"v1"}`, true},
		{"control link that isn't", KindControlLink, `{"run_dir":"` + dir + `","addr":"172.16.1.1","link":"v1"}`, true},
		{"control network that isn't", KindHostControl, `{"run_dir":"` + dir + `","uplink":"nosuch0"}`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := Undo(t.Context(), plan.Undo{Kind: row.kind, Data: json.RawMessage(row.data)})
			if (err == nil) != row.ok {
				t.Errorf("error %v, want none: %v", err, row.ok)
			}
		})
	}
}
