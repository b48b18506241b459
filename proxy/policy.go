package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"emujail/protocol"
)

// Why a request is refused whose command was understood.
const (
	errPolicy = refusal("command not for jails")
	errDenied = refusal("command denied to this jail")
	errState  = refusal("state not for a jail to report")
)

// A verdict is a row of the policy: whether a jail may give a command. Why
// stands beside it.
type verdict struct {
	command string
	allow   bool
}

const (
	yes = true
	no  = false
)

// verdicts has a row for each of tmcd's commands, in the order of its table.
// Allowed is what a jail's own configuration asks (docs/spec/jail.md App. A)
// and what reports about the jail itself; all of it is answered for PROXYFOR
// about that jail or what its experiment shares. The rest stays outside.
// It is never written to.
var verdicts = [...]verdict{
	{"reboot", no},         // about the host; does nothing
	{"nodeid", yes},        // its own name
	{"nodeuuid", yes},      // its own uuid
	{"manifest", yes},      // its experiment's services; asked at boot
	{"status", yes},        // its own allocation; asked at boot
	{"ifconfig", yes},      // its own interfaces in plain form
	{"accounts", yes},      // its project's users; asked at boot and by the watchdog
	{"delay", no},          // shaping is set up outside
	{"bridges", no},        // bridging is set up outside
	{"linkdelay", no},      // shaping is set up outside
	{"hostnames", yes},     // its experiment's names; asked at boot
	{"rpms", yes},          // its software; asked at boot
	{"deltas", no},         // obsolete, empty
	{"tarballs", yes},      // its software; asked at boot
	{"blobs", yes},         // its software; asked at boot
	{"startupcmd", no},     // jails get it as a program
	{"startstatus", yes},   // reports its own start command's end
	{"startstat", yes},     // old name of startstatus
	{"readycount", yes},    // counts its experiment's nodes
	{"ready", no},          // ignored for vnodes
	{"storageconfig", yes}, // its own storage; asked at boot
	{"mounts", no},         // mounts are made outside
	{"sfshostid", no},      // writes a key that others trust; obsolete
	{"loadinfo", yes},      // its own disk loading; asked at boot
	{"reset", no},          // about the host's disk
	{"routing", yes},       // its own routes; asked at boot
	{"trafgens", yes},      // its own traffic generators; asked at boot
	{"nseconfigs", no},     // network emulation runs on hosts
	{"creator", yes},       // who made and swapped in its experiment; asked at boot
	{"state", yes},         // reports its own state; words in jailStates only
	{"tunnels", yes},       // empty for PROXYFOR; old scripts ask
	{"vnodelist", no},      // lists the host's other jails
	{"subnodelist", no},    // lists the host's subnodes
	{"isalive", yes},       // the watchdog's sign of life
	{"ipodinfo", no},       // the host's kill switch
	{"ntpinfo", no},        // the clock is the host's
	{"ntpdrift", no},       // the clock is the host's
	{"jailconfig", yes},    // its own permissions; asked at boot
	{"plabconfig", no},     // PlanetLab
	{"subconfig", no},      // configures subnodes
	{"sdparams", no},       // the host's slothd
	{"programs", yes},      // its own program agents; asked at boot
	{"syncserver", yes},    // its experiment's barrier server; asked at boot
	{"keyhash", yes},       // its experiment's key hash; asked at boot
	{"eventkey", yes},      // its experiment's event key; asked at boot
	{"fullconfig", yes},    // all of the above in one answer; asked at boot
	{"routelist", no},      // lists other vnodes' routes
	{"role", no},           // about the host
	{"rusage", yes},        // the watchdog's load report
	{"watchdoginfo", yes},  // the watchdog's intervals; asked at boot
	{"hostkeys", yes},      // reports its own ssh host keys
	{"tmcctest", no},       // a test of the transport; echoes what it is told
	{"firewallinfo", yes},  // answered TYPE=none for PROXYFOR; asked at boot
	{"hostinfo", no},       // writes the host's boot CD version
	{"emulabconfig", no},   // configures an inner Emulab's servers
	{"eplabconfig", no},    // PlanetLab
	{"localization", no},   // root's key for hosts
	{"rootpswd", no},       // answers with the host's root password hash
	{"booterrno", yes},     // reports its own boot's failure
	{"bootlog", yes},       // reports its own boot log
	{"battery", no},        // robots
	{"topomap", yes},       // its experiment's topology; asked at reconfiguration
	{"userenv", yes},       // its experiment's environment; asked at boot
	{"tiptunnels", no},     // serial lines are the host's
	{"traceinfo", yes},     // its own link traces; asked at boot
	{"ltmap", yes},         // its experiment's linktest map
	{"ltpmap", yes},        // its experiment's linktest map
	{"elvindport", no},     // writes the host's event port
	{"plabeventkeys", no},  // PlanetLab: other experiments' keys
	{"intfcmap", no},       // the host's hardware
	{"motelog", no},        // sensor motes
	{"portregister", no},   // registers host services; not asked by jails
	{"bootwhat", no},       // what hosts boot
	{"tpmblob", no},        // the host's TPM
	{"tpmpubkey", no},      // the host's TPM
	{"tpmdummy", no},       // the host's TPM
	{"dhcpdconf", no},      // a subboss's DHCP server
	{"securestate", no},    // the host's attested boot
	{"quoteprep", no},      // the host's attested boot
	{"imagekey", no},       // keys of disk images
	{"nodeattributes", no}, // attributes are set by the testbed, some for its own eyes
	{"disks", yes},         // its own disk agent; asked at boot
	{"arpinfo", no},        // addresses of the testbed's machines
	{"hwinfo", no},         // the host's hardware
	{"tiplineinfo", no},    // serial lines are the host's
	{"imageinfo", no},      // image making is the host's
	{"imagesize", no},      // image making is the host's; its answer crashes old servers
	{"pnetnodeattrs", no},  // other nodes' attributes
	{"serviceinfo", no},    // the testbed's own services
	// GENI slices don't use jails; not asked by them.
	{"geni_client_id", no},
	{"geni_slice_urn", no},
	{"geni_slice_email", no},
	{"geni_user_urn", no},
	{"geni_user_email", no},
	{"geni_geni_user", no},
	{"geni_manifest", no},
	{"geni_certificate", no},
	{"geni_key", no}, // and a private key of the slice
	{"geni_control_mac", no},
	{"geni_version", no},
	{"geni_getversion", no},
	{"geni_sliverstatus", no},
	{"geni_status", no},
	{"geni_commands", no},
	{"geni_all", no},
	{"geni_param", no},
	{"geni_invalid", no},
}

// jailStates are what a jail may say of itself: its configuration is done, or
// failed. All else is reported outside (docs/spec/jail.md §3.3).
var jailStates = [...]string{"ISUP", "TBFAILED"}

// Rules are one jail's exceptions from the table.
type Rules struct{ allow, deny []string }

// ParseRules reads lines "allow COMMAND" and "deny COMMAND". Empty lines and
// those that begin with # are skipped. A command must be written as the table
// has it. Of both for one command, deny counts.
func ParseRules(lines []string) (Rules, error) {
	var r Rules
	for i, line := range lines {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return Rules{}, fmt.Errorf("rule %d: want \"allow COMMAND\" or \"deny COMMAND\", have %q", i+1, line)
		}
		if c, ok := protocol.Lookup(words[1]); !ok || c.Name != words[1] {
			return Rules{}, fmt.Errorf("rule %d: no command %q", i+1, words[1])
		}
		switch words[0] {
		case "allow":
			r.allow = append(r.allow, words[1])
		case "deny":
			r.deny = append(r.deny, words[1])
		default:
			return Rules{}, fmt.Errorf("rule %d: want allow or deny, have %q", i+1, words[0])
		}
	}
	return r, nil
}

// check says why a jail may not send r; nil is yes.
func (rules Rules) check(r request) error {
	if slices.Contains(rules.deny, r.command) {
		return errDenied
	}
	if slices.Contains(rules.allow, r.command) || r.command == bossinfo {
		return nil
	}
	i := slices.IndexFunc(verdicts[:], func(v verdict) bool { return v.command == r.command })
	if i < 0 || !verdicts[i].allow {
		return errPolicy
	}
	if r.command == "state" && !stateAllowed(r.args) {
		return errState
	}
	return nil
}

// stateAllowed looks at the first word, the only one that tmcd reads.
func stateAllowed(args []byte) bool {
	words := bytes.FieldsFunc(args, func(c rune) bool { return strings.ContainsRune(" \t\n\v\f\r", c) })
	return len(words) > 0 && slices.Contains(jailStates[:], string(words[0]))
}
