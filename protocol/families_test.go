package protocol

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestJailConfig(t *testing.T) {
	const in = `JAILIP="172.17.1.1,255.240.0.0"
CTRLMAC="020000000101"
PORTRANGE="30000,30255"
SSHDPORT=30001
SYSVIPC=1
INETRAW=1
BPFRO=1
INADDRANY=1
IPFW=0
IPDIVERT=0
ROUTING=1
DEVMEM=0
ELABINELAB=0
EVENTSERVER="event-server.example.emulab.net"
VDSIZE=0.75
ROOTHASH=$1$abc$def
IPADDRS="10.1.1.2,10.1.2.2"
IMAGENAME="emulab-ops,emulab-ops,FBSD-JAIL:0"
FUTURE="a b"
`
	want := JailConfig{
		JailIP: netip.MustParseAddr("172.17.1.1"), JailMask: netip.MustParseAddr("255.240.0.0"),
		CtrlMAC: "020000000101", PortLow: 30000, PortHigh: 30255, SSHDPort: 30001,
		SysVIPC: true, InetRaw: true, BPFRO: true, InAddrAny: true, Routing: true,
		EventServer: "event-server.example.emulab.net", VDSize: "0.75", RootHash: "$1$abc$def",
		IPAddrs:   []netip.Addr{netip.MustParseAddr("10.1.1.2"), netip.MustParseAddr("10.1.2.2")},
		ImageName: "emulab-ops,emulab-ops,FBSD-JAIL:0",
		Extra:     []EnvVar{{"FUTURE", `"a b"`}},
	}
	got, err := ParseJailConfig([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if out := string(want.Append(nil, Version)); out != in {
		t.Errorf("renders as\n%s", out)
	}
	loose, err := ParseJailConfig([]byte("JAILIP=\"\"\nPORTRANGE=1,2\nSSHDPORT=\"7\"\nROUTING=\"1\"\nDEVMEM=\n"))
	if want := (JailConfig{PortLow: 1, PortHigh: 2, SSHDPort: 7, Routing: true}); err != nil || !reflect.DeepEqual(loose, want) {
		t.Errorf("quoted or not: %+v, %v", loose, err)
	}
}

func TestSliverWithoutJail(t *testing.T) {
	j := JailConfig{EventServer: "e"}
	if got := string(j.Append(nil, Version)); got != "EVENTSERVER=\"e\"\n" {
		t.Errorf("%q", got)
	}
}

func TestTunnelMembers(t *testing.T) {
	all := Tunnels{
		{Tunnel: 7, Member: 1, Key: "tunnel_ip", Value: "10.0.0.1"},
		{Tunnel: 8, Member: 2, Key: "tunnel_ip", Value: "10.0.1.1"},
		{Tunnel: 7, Member: 1, Key: "tunnel_style", Value: "gre"},
	}
	want := []Tunnel{
		{7, 1, map[string]string{"tunnel_ip": "10.0.0.1", "tunnel_style": "gre"}},
		{8, 2, map[string]string{"tunnel_ip": "10.0.1.1"}},
	}
	if got := all.Members(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestHostNamesOfVersion2(t *testing.T) {
	const in = "NAME=node-c LINK=1 IP=10.1.3.3 ALIAS=node-c\nNAME=node-c LINK=0 IP=10.1.1.4 ALIAS= \n"
	want := HostNames{
		{Name: "node-c", IP: "10.1.3.3", Aliases: []string{"node-c-1", "node-c"}},
		{Name: "node-c", IP: "10.1.1.4", Aliases: []string{"node-c-0"}},
	}
	got, err := ParseHostNames([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"no number":    "NAME=a LINK= IP=\n",
		"hyphen":       "NAME=a LINK=1-2 IP=\n",
		"both forms":   "NAME=a LINK=1 IP= ALIAS=a ALIASES='a'\n",
		"no name":      "NAME= IP=\n",
		"quoted alias": "NAME=a IP= ALIASES='it's'\n",
	} {
		if got, err := ParseHostNames([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMountKinds(t *testing.T) {
	const in = "FSTYPE=SFS\nSFS REMOTE=fs:/share LOCAL=/share\nREMOTE=fs:/proj LOCAL=/proj\nLOCAL=/scratch\n"
	want := Mounts{FSType: "SFS", Mounts: []Mount{
		{Remote: "fs:/share", Local: "/share", SFS: true}, {Remote: "fs:/proj", Local: "/proj"}, {Local: "/scratch"},
	}}
	got, err := ParseMounts([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if out := string(want.Append(nil, Version)); out != in {
		t.Errorf("%q", out)
	}
	if _, err := ParseMounts([]byte("FSTYPE=NFS\nFSTYPE=LOCAL\n")); err == nil {
		t.Error("two types are taken")
	}
}

func TestLookups(t *testing.T) {
	attributes := NodeAttributes{{"XEN_VCPUS", "2"}}
	if v, ok := attributes.Get("XEN_VCPUS"); v != "2" || !ok {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := attributes.Get("x"); ok {
		t.Error("found what isn't there")
	}
	records, err := ParseRecords([]byte("NETUNIT TYPE=\"ETH\" ID=x\n"))
	if err != nil || records[0].Tag != "NETUNIT" {
		t.Fatalf("%+v, %v", records, err)
	}
	if v, ok := records[0].Words.Get("TYPE"); v != "ETH" || !ok {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := records[0].Words.Get("x"); ok {
		t.Error("found what isn't there")
	}
}

// Old names and new are one reply.
func TestVNodeListForms(t *testing.T) {
	old, err := ParseVNodeList([]byte("pcvm1-1\n"))
	if err != nil || !reflect.DeepEqual(old, VNodeList{{ID: "pcvm1-1"}}) {
		t.Errorf("%+v, %v", old, err)
	}
	for _, bad := range []string{"../x\n", "VNODEID=../x JAILED=1\n", "VNODEID= JAILED=1\n"} {
		if got, err := ParseVNodeList([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestFirewallHead(t *testing.T) {
	if _, err := ParseFirewallInfo([]byte("TYPE=none\nTYPE=ipfw\n")); err == nil {
		t.Error("two types are taken")
	}
	f, err := ParseFirewallInfo([]byte("VAR=A VALUE=\"x \"y\" z\"\nTYPE=ipfw STYLE=open\n"))
	want := FirewallInfo{Type: "ipfw", Style: "open", Vars: []FirewallVar{{Name: "A", Value: `x "y" z`}}}
	if err != nil || !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, %v", f, err)
	}
}
