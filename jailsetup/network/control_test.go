package network

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestControlIn(t *testing.T) {
	for _, row := range []struct {
		name, prefix        string
		number              int
		host, jails, router string
		fails               bool
	}{
		{"the address plan", "172.16.0.0/12", 1, "172.16.1.0", "172.16.1.0/24", "172.16.0.1", false},
		{"twelve bits of host", "172.16.0.0/12", 4095, "172.31.255.0", "172.31.255.0/24", "172.16.0.1", false},
		{"prefix with host bits", "10.77.3.9/16", 2, "10.77.2.0", "10.77.2.0/24", "10.77.0.1", false},
		{"smallest", "10.0.0.0/23", 1, "10.0.1.0", "10.0.1.0/24", "10.0.0.1", false},
		{"too many bits", "10.0.0.0/24", 1, "", "", "", true},
		{"host 0 has the gateway's /24", "172.16.0.0/12", 0, "", "", "", true},
		{"host out of the prefix", "172.16.0.0/12", 4096, "", "", "", true},
		{"IPv6", "fd00::/16", 1, "", "", "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := ControlIn(netip.MustParsePrefix(row.prefix), row.number)
			if row.fails {
				if err == nil {
					t.Fatalf("got %s, want an error", c)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Host.String() != row.host || c.Jails.String() != row.jails || c.Gateway.String() != row.router {
				t.Errorf("got %s", c)
			}
			if err := c.Validate(); err != nil {
				t.Errorf("not valid: %v", err)
			}
		})
	}
}

func TestControlValidate(t *testing.T) {
	good, err := ControlIn(netip.MustParsePrefix("172.16.0.0/12"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		change func(*Control)
		want   string
	}{
		{"no prefix", func(c *Control) { c.Prefix = netip.Prefix{} }, "prefix"},
		{"jails outside", func(c *Control) { c.Jails = netip.MustParsePrefix("10.0.0.0/24") }, "jails"},
		{"jails wider", func(c *Control) { c.Jails = netip.MustParsePrefix("172.16.0.0/8") }, "jails"},
		{"host outside", func(c *Control) { c.Host = netip.MustParseAddr("10.0.0.1") }, "host"},
		{"no gateway", func(c *Control) { c.Gateway = netip.Addr{} }, "gateway"},
		{"host is gateway", func(c *Control) { c.Host = c.Gateway }, "gateway"},
		{"long device", func(c *Control) { c.Uplink = "sixteen-bytes-xx" }, "uplink"},
		{"device with slash", func(c *Control) { c.Uplink = "a/b" }, "uplink"},
		{"device is a directory", func(c *Control) { c.Uplink = ".." }, "uplink"},
		{"relative directory", func(c *Control) { c.RunDir = "run" }, "directory"},
		{"port 0", func(c *Control) { c.HostPorts = []Port{{TCP, 0}} }, "port"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := good
			row.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want one about %q", err, row.want)
			}
		})
	}
	for _, row := range []struct {
		addr string
		ok   bool
	}{{"172.16.1.1", true}, {"172.16.1.254", true}, {"172.16.1.0", false}, {"172.16.2.1", false}, {"172.16.0.1", false}, {"::1", false}} {
		if err := good.CheckJail(netip.MustParseAddr(row.addr)); (err == nil) != row.ok {
			t.Errorf("jail address %s: %v", row.addr, err)
		}
	}
}

// A control network is written to disk and read again.
func TestControlJSON(t *testing.T) {
	c, err := ControlIn(netip.MustParsePrefix("172.16.0.0/12"), 1)
	if err != nil {
		t.Fatal(err)
	}
	c.HostPorts = []Port{{TCP, 80}, {UDP, 53}}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Control
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.String() != c.String() || !slices.Equal(back.HostPorts, c.HostPorts) || back.RunDir != c.RunDir {
		t.Errorf("%s became %s", b, back)
	}
	if !strings.Contains(string(b), `"tcp/80"`) {
		t.Errorf("ports aren't text: %s", b)
	}
}

func TestParsePort(t *testing.T) {
	for _, row := range []struct {
		text string
		want Port
	}{{"tcp/1", Port{TCP, 1}}, {"udp/65535", Port{UDP, 65535}}} {
		got, err := ParsePort(row.text)
		if err != nil || got != row.want || got.String() != row.text {
			t.Errorf("%s: %v, %v", row.text, got, err)
		}
	}
	for _, text := range []string{"", "80", "tcp", "tcp/", "tcp/0", "tcp/65536", "tcp/-1", "sctp/80", "/80", "tcp/80 "} {
		if got, err := ParsePort(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseMAC(t *testing.T) {
	for _, row := range []struct {
		text, want string
	}{
		{"02aabbccddee", "02:aa:bb:cc:dd:ee"},
		{"00:00:0A:01:01:02", "00:00:0a:01:01:02"},
		{"000000000000", ""}, {"ffffffffffff", ""}, {"01005e000001", ""}, {"02aabbccdd", ""}, {"", ""}, {"none", ""},
		{"02:aa:bb:cc:dd:ee:00:01", ""},
	} {
		m, err := ParseMAC(row.text)
		if row.want == "" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", row.text, m)
			}
			continue
		}
		if err != nil || m.String() != row.want {
			t.Errorf("%q: %s, %v", row.text, m, err)
		}
	}
}

func TestConflictError(t *testing.T) {
	err := &ConflictError{netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("172.17.0.0/16"), "docker0"}
	for _, want := range []string{"172.16.0.0/12", "172.17.0.0/16", "docker0", "setting"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %s", err, want)
		}
	}
}

func TestNextFree(t *testing.T) {
	for _, row := range []struct {
		name  string
		bits  int
		taken []string
		want  string
	}{
		{"nothing taken", 12, nil, "172.16.0.0/12"},
		{"docker", 16, []string{"172.16.0.0/16", "172.17.0.0/16"}, "172.18.0.0/16"},
		{"docker, and all of it wanted", 12, []string{"172.17.0.0/16"}, "10.0.0.0/12"},
		{"a host in the first", 16, []string{"172.16.255.1/32"}, "172.17.0.0/16"},
		{"two blocks full", 16, []string{"172.16.0.0/12", "10.0.0.0/8"}, "192.168.0.0/16"},
		{"everything full", 16, []string{"172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"}, ""},
		{"wider than any", 7, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var taken []netip.Prefix
			for _, s := range row.taken {
				taken = append(taken, netip.MustParsePrefix(s))
			}
			got, ok := nextFree(row.bits, taken)
			if ok != (row.want != "") || (ok && got.String() != row.want) {
				t.Errorf("got %s, want %q", got, row.want)
			}
		})
	}
}
