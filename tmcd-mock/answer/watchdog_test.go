package answer_test

import "testing"

// TestWatchdogInfo: which interval is whose, and that what no row says is -1.
func TestWatchdogInfo(t *testing.T) {
	const slice = "10.9.0.1 VNODEID=slice VERSION=28 watchdoginfo"
	plab := "  node_types: [{type: plabslice, isplabdslice: 1}]\n"
	asks(t, configBed(t, ""), map[string]string{
		slice: "INTERVAL=3600 ISALIVE=60 NTPDRIFT=0 CVSUP=43200 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
		"10.0.0.1 VNODEID=vm1 VERSION=29 watchdoginfo": "INTERVAL=3600 ISALIVE=300 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=0 DHCPDCONF=300 SETROOTPSWD=3600\n",
		"10.0.0.1 VERSION=28 watchdoginfo":             "INTERVAL=3600 ISALIVE=180 NTPDRIFT=14400 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
	})
	asks(t, configBed(t, plab), map[string]string{slice: "INTERVAL=3600 ISALIVE=600 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n"})
	asks(t, configBed(t, plab+"  plab_slices: [{pid: p, eid: e, admin: 1}]\n  reserved: [{node_id: pc1, sharing_mode: x}]\n"), map[string]string{
		slice: "INTERVAL=3600 ISALIVE=0 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=59999940 DHCPDCONF=300\n",
		"10.0.0.1 VNODEID=vm1 VERSION=28 watchdoginfo": "INTERVAL=3600 ISALIVE=0 NTPDRIFT=0 CVSUP=0 RUSAGE=18000 HOSTKEYS=0 DHCPDCONF=300\n",
		"10.0.0.1 VERSION=28 watchdoginfo":             "INTERVAL=3600 ISALIVE=180 NTPDRIFT=14400 CVSUP=0 RUSAGE=60 HOSTKEYS=59999940 DHCPDCONF=300\n",
	})
	const some = `tables:
  sitevariables:
    - {name: watchdog/interval, value: "7", defaultvalue: "60"}
    - {name: watchdog/ntpdrift, value: "", defaultvalue: ""}
    - {name: watchdog/isalive/local, value: "", defaultvalue: "2"}
    - {name: watchdog/hostkeys, defaultvalue: "0"}
`
	asks(t, configBed(t, "  nodes: []\n"+some), map[string]string{
		"10.0.0.1 VERSION=28 watchdoginfo": "INTERVAL=420 ISALIVE=120 NTPDRIFT=-1 CVSUP=0 RUSAGE=-1 HOSTKEYS=0 DHCPDCONF=-1\n"})
	asks(t, configBed(t, "  nodes: []\ntables: {sitevariables: []}\n"), map[string]string{"10.0.0.1 VERSION=28 watchdoginfo": ""})
}
