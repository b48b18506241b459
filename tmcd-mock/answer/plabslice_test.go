package answer_test

import "testing"

// TestPlabEventKeys: a service slice learns the keys of all on its host.
func TestPlabEventKeys(t *testing.T) {
	tb := with(t, "plab_slices", []columns{{"pid": "testbed", "eid": "sharedemo", "admin": int64(1)}, {"pid": "testbed", "eid": "jaildemo", "admin": int64(0)}})
	visit{"a service slice", "127.0.0.3", "VNODEID=pcvm3-1 VERSION=40 plabeventkeys ", "PID=emulab-ops EID=shared-nodes KEY=\n" +
		"PID=testbed EID=sharedemo KEY=\nPID=geniproj EID=genislice KEY=\nPID=geniproj EID=genislice KEY=\n", ""}.check(t, tb)
	visit{"another slice", "", "VNODEID=pcvm1-1 VERSION=40 plabeventkeys ", "", ""}.check(t, tb)
	visit{"a host", "127.0.0.3", "VERSION=40 plabeventkeys ", "", ""}.check(t, tb)
}

// TestPlabConfig: only for slices, whose address is their host's.
func TestPlabConfig(t *testing.T) {
	slice := "  node_types: [{type: plabslice, isplabdslice: 1}]\n"
	const request = "10.9.0.1 VNODEID=slice VERSION=40 plabconfig"
	asks(t, configBed(t, ""), map[string]string{request: "", "10.0.0.1 VNODEID=vm1 VERSION=40 plabconfig": ""})
	asks(t, configBed(t, slice), map[string]string{request: "SSHDPORT=30003 SVCSLICE=0 IPADDR=10.9.0.1 ELVIND_PORT=2917 \n",
		"10.9.0.1 VERSION=40 plabconfig": ""})
	asks(t, configBed(t, slice+"  plab_slices: [{pid: p, eid: e, slicename: x, admin: 1}]\n"+
		"  node_attributes: [{node_id: far, attrkey: elvind_port, attrvalue: '2918'}]\n"),
		map[string]string{request: "SSHDPORT=30003 SVCSLICE=1 IPADDR=10.9.0.1 ELVIND_PORT=2918 \n"})
}
