package protocol

import "testing"

func TestCommands(t *testing.T) {
	all := Commands()
	if len(all) != 107 {
		t.Fatalf("%d commands, want 107", len(all))
	}
	for i, c := range all {
		if c.Number != i+1 {
			t.Errorf("%s has number %d in place %d", c.Name, c.Number, i+1)
		}
	}
	all[0].Name = "changed"
	if c, _ := Lookup("reboot"); c.Name != "reboot" {
		t.Error("Commands hands out the table itself")
	}
}

// The blocks of a vnode's fullconfig, in order (jail.md §2.2).
func TestScopes(t *testing.T) {
	want := []string{
		"nodeid", "nodeuuid", "manifest", "ifconfig", "accounts", "delay", "bridges", "linkdelay", "rpms",
		"tarballs", "blobs", "startupcmd", "storageconfig", "mounts", "routing", "trafgens", "nseconfigs",
		"creator", "tunnels", "jailconfig", "plabconfig", "programs", "syncserver", "keyhash", "eventkey",
		"watchdoginfo", "firewallinfo", "userenv", "tiptunnels", "traceinfo", "motelog", "tpmblob",
		"tpmpubkey", "tpmdummy", "dhcpdconf", "nodeattributes", "disks",
	}
	n := 0
	for _, c := range Commands() {
		if !c.Scope.Sent(true) {
			continue
		}
		if n >= len(want) || c.Name != want[n] {
			t.Fatalf("block %d is %s", n, c.Name)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d blocks, want %d", n, len(want))
	}
	if c, _ := Lookup("vnodelist"); c.Scope.Sent(true) || !c.Scope.Sent(false) {
		t.Error("vnodelist is for hosts only")
	}
}

func TestFlags(t *testing.T) {
	accounts, _ := Lookup("accounts")
	if !accounts.Flags.Has(RemReqSSL|Writes) || accounts.Flags.Has(Allocated) {
		t.Errorf("accounts: %b", accounts.Flags)
	}
	isalive, _ := Lookup("isalive")
	if !isalive.Flags.Has(RemUDP | MinLog) {
		t.Errorf("isalive: %b", isalive.Flags)
	}
}

// Every row has to be reachable by its own name: none hides behind a shorter one.
func TestLookupFindsEveryRow(t *testing.T) {
	for _, c := range Commands() {
		if got, ok := Lookup(c.Name); !ok || got != c {
			t.Errorf("%s: %+v", c.Name, got)
		}
	}
}
