package protocol

import "testing"

func FuzzAccounts(f *testing.F) { fuzzReply(f, "accounts", 25, ParseAccounts) }

func FuzzBlobs(f *testing.F) { fuzzReply(f, "blobs", 2, ParseBlobs) }

func FuzzCreator(f *testing.F) { fuzzReply(f, "creator", 9, ParseCreator) }

func FuzzEventKey(f *testing.F) { fuzzReply(f, "eventkey", 4, ParseEventKey) }

func FuzzHostNames(f *testing.F) { fuzzReply(f, "hostnames", 11, ParseHostNames) }

func FuzzIfConfig(f *testing.F) { fuzzReply(f, "ifconfig", 44, ParseIfConfig) }

func FuzzJailConfig(f *testing.F) { fuzzReply(f, "jailconfig", 25, ParseJailConfig) }

func FuzzKeyHash(f *testing.F) { fuzzReply(f, "keyhash", 4, ParseKeyHash) }

func FuzzLinkDelays(f *testing.F) { fuzzReply(f, "linkdelay", 2, ParseLinkDelays) }

func FuzzManifest(f *testing.F) { fuzzReply(f, "manifest", 6, ParseManifest) }

func FuzzMounts(f *testing.F) { fuzzReply(f, "mounts", 12, ParseMounts) }

func FuzzNodeID(f *testing.F) { fuzzReply(f, "nodeid", 18, ParseNodeID) }

func FuzzPrograms(f *testing.F) { fuzzReply(f, "programs", 7, ParsePrograms) }

func FuzzRouting(f *testing.F) { fuzzReply(f, "routing", 10, ParseRouting) }

func FuzzRPMs(f *testing.F) { fuzzReply(f, "rpms", 16, ParseRPMs) }

func FuzzStartupCmd(f *testing.F) { fuzzReply(f, "startupcmd", 6, ParseStartupCmd) }

func FuzzStatus(f *testing.F) { fuzzReply(f, "status", 16, ParseStatus) }

func FuzzSyncServer(f *testing.F) { fuzzReply(f, "syncserver", 5, ParseSyncServer) }

func FuzzTarballs(f *testing.F) { fuzzReply(f, "tarballs", 19, ParseTarballs) }

func FuzzTrafGens(f *testing.F) { fuzzReply(f, "trafgens", 3, ParseTrafGens) }

func FuzzTunnels(f *testing.F) { fuzzReply(f, "tunnels", 4, ParseTunnels) }

func FuzzUserEnv(f *testing.F) { fuzzReply(f, "userenv", 3, ParseUserEnv) }

func FuzzVNodeList(f *testing.F) { fuzzReply(f, "vnodelist", 6, ParseVNodeList) }

func FuzzWatchdogInfo(f *testing.F) { fuzzReply(f, "watchdoginfo", 8, ParseWatchdogInfo) }

func FuzzARPInfo(f *testing.F) { fuzzReply(f, "arpinfo", 3, ParseARPInfo) }

func FuzzBootWhat(f *testing.F) { fuzzReply(f, "bootwhat", 8, ParseBootWhat) }

func FuzzDelays(f *testing.F) { fuzzReply(f, "delay", 2, ParseDelays) }

func FuzzDisks(f *testing.F) { fuzzReply(f, "disks", 2, ParseDisks) }

func FuzzFirewallInfo(f *testing.F) { fuzzReply(f, "firewallinfo", 7, ParseFirewallInfo) }

func FuzzImageInfo(f *testing.F) { fuzzReply(f, "imageinfo", 5, ParseImageInfo) }

func FuzzImageSize(f *testing.F) { fuzzReply(f, "imagesize", 2, ParseImageSize) }

func FuzzIPODInfo(f *testing.F) { fuzzReply(f, "ipodinfo", 69, ParseIPODInfo) }

func FuzzUpdate(f *testing.F) { fuzzReply(f, "isalive", 2, ParseUpdate) }

func FuzzUpdateRusage(f *testing.F) { fuzzReply(f, "rusage", 2, ParseUpdate) }

func FuzzLoads(f *testing.F) { fuzzReply(f, "loadinfo", 8, ParseLoads) }

func FuzzRootPubKeys(f *testing.F) { fuzzReply(f, "localization", 2, ParseRootPubKeys) }

func FuzzNodeAttributes(f *testing.F) { fuzzReply(f, "nodeattributes", 2, ParseNodeAttributes) }

func FuzzNodeUUID(f *testing.F) { fuzzReply(f, "nodeuuid", 18, ParseNodeUUID) }

func FuzzNTPInfo(f *testing.F) { fuzzReply(f, "ntpinfo", 3, ParseNTPInfo) }

func FuzzPortRegistration(f *testing.F) { fuzzReply(f, "portregister", 3, ParsePortRegistration) }

func FuzzReadyCount(f *testing.F) { fuzzReply(f, "readycount", 5, ParseReadyCount) }

func FuzzRole(f *testing.F) { fuzzReply(f, "role", 4, ParseRole) }

func FuzzRootPassword(f *testing.F) { fuzzReply(f, "rootpswd", 32, ParseRootPassword) }

func FuzzRouteList(f *testing.F) { fuzzReply(f, "routelist", 6, ParseRouteList) }

func FuzzServiceInfo(f *testing.F) { fuzzReply(f, "serviceinfo", 2, ParseServiceInfo) }

func FuzzSubNodeList(f *testing.F) { fuzzReply(f, "subnodelist", 1, ParseSubNodeList) }

func FuzzTipTunnels(f *testing.F) { fuzzReply(f, "tiptunnels", 2, ParseTipTunnels) }

func FuzzTraces(f *testing.F) { fuzzReply(f, "traceinfo", 3, ParseTraces) }

func FuzzRecordsEmulabconfig(f *testing.F) { fuzzReply(f, "emulabconfig", 2, ParseRecords) }

func FuzzRecordsHwinfo(f *testing.F) { fuzzReply(f, "hwinfo", 6, ParseRecords) }

func FuzzGENI(f *testing.F) { fuzzReply(f, "geni_control_mac", 14, ParseGENI) }
