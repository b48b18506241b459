package protocol

import "strings"

// ParseReply reads the reply to a command, by its name in the table, into the
// type for its family: Accounts for accounts and so on, Records or Text where a
// family has none. A reply that can only be told by its request (fullconfig)
// is Text. Errors are those of the family's parser.
func ParseReply(command string, b []byte) (Reply, error) {
	if parse := parserOf(command); parse != nil {
		return parse(b)
	}
	if strings.HasPrefix(command, geniPrefix) {
		return asReply(ParseGENI)(b)
	}
	return asReply(ParseText)(b)
}

func asReply[T Reply](parse func([]byte) (T, error)) func([]byte) (Reply, error) {
	return func(b []byte) (Reply, error) { return parse(b) }
}

// parserOf is nil for Text.
func parserOf(command string) func([]byte) (Reply, error) {
	if parse := bootParser(command); parse != nil {
		return parse
	}
	return otherParser(command)
}

// bootParser knows the commands of a vnode's boot.
func bootParser(command string) func([]byte) (Reply, error) {
	switch command {
	case "accounts":
		return asReply(ParseAccounts)
	case "blobs":
		return asReply(ParseBlobs)
	case "creator":
		return asReply(ParseCreator)
	case "eventkey":
		return asReply(ParseEventKey)
	case "hostnames":
		return asReply(ParseHostNames)
	case "ifconfig":
		return asReply(ParseIfConfig)
	case "jailconfig":
		return asReply(ParseJailConfig)
	case "keyhash":
		return asReply(ParseKeyHash)
	case "linkdelay":
		return asReply(ParseLinkDelays)
	case "manifest":
		return asReply(ParseManifest)
	case "mounts":
		return asReply(ParseMounts)
	case "nodeid":
		return asReply(ParseNodeID)
	case "programs":
		return asReply(ParsePrograms)
	case "routing":
		return asReply(ParseRouting)
	case "rpms":
		return asReply(ParseRPMs)
	case "startupcmd":
		return asReply(ParseStartupCmd)
	case "status":
		return asReply(ParseStatus)
	case "syncserver":
		return asReply(ParseSyncServer)
	case "tarballs":
		return asReply(ParseTarballs)
	case "trafgens":
		return asReply(ParseTrafGens)
	case "tunnels":
		return asReply(ParseTunnels)
	case "userenv":
		return asReply(ParseUserEnv)
	case "vnodelist":
		return asReply(ParseVNodeList)
	case "watchdoginfo":
		return asReply(ParseWatchdogInfo)
	}
	return nil
}

func otherParser(command string) func([]byte) (Reply, error) {
	switch command {
	case "arpinfo":
		return asReply(ParseARPInfo)
	case "bootwhat":
		return asReply(ParseBootWhat)
	case "delay":
		return asReply(ParseDelays)
	case "disks":
		return asReply(ParseDisks)
	case "firewallinfo":
		return asReply(ParseFirewallInfo)
	case "imageinfo":
		return asReply(ParseImageInfo)
	case "imagesize":
		return asReply(ParseImageSize)
	case "ipodinfo":
		return asReply(ParseIPODInfo)
	case "isalive", "rusage":
		return asReply(ParseUpdate)
	case "loadinfo":
		return asReply(ParseLoads)
	case "localization":
		return asReply(ParseRootPubKeys)
	case "nodeattributes":
		return asReply(ParseNodeAttributes)
	case "nodeuuid":
		return asReply(ParseNodeUUID)
	case "ntpinfo":
		return asReply(ParseNTPInfo)
	case "portregister":
		return asReply(ParsePortRegistration)
	case "readycount":
		return asReply(ParseReadyCount)
	case "role":
		return asReply(ParseRole)
	case "rootpswd":
		return asReply(ParseRootPassword)
	case "routelist":
		return asReply(ParseRouteList)
	case "serviceinfo":
		return asReply(ParseServiceInfo)
	case "subnodelist":
		return asReply(ParseSubNodeList)
	case "tiptunnels":
		return asReply(ParseTipTunnels)
	case "traceinfo":
		return asReply(ParseTraces)
	case "bridges", "dhcpdconf", "emulabconfig", "eplabconfig", "hwinfo", "motelog",
		"plabconfig", "storageconfig", "subconfig":
		return asReply(ParseRecords)
	}
	return nil
}
