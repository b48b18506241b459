package main

import "slices"

// Packages that attack.
const (
	e2e     = "jailsetup/e2e"
	network = "jailsetup/network"
	injail  = "jailsetup/injail"
	permit  = "jailsetup/permit"
)

// noAttack is said where a row promises what something does, not what somebody
// can't do.
const noAttack = "the row is no attack"

// harmful is said where the wall is the host's own good: without it the attack
// would take tables or links that others live by.
const harmful = "the proof would harm the host"

// rows are all that there are, in the order of the specification.
func rows() []row { return slices.Concat(jailRows(), peerRows()) }

// jailRows are those of docs/spec/jail.md §5.
func jailRows() []row {
	return []row{
		{id: "S1", title: "no credential of the host is inside",
			attacks: slices.Concat(in(e2e, "TestWalls/S1 S28 S29 secrets"), in("jailsetup/rootfs", "TestS1NothingOfTheHosts")),
			proofs:  in(e2e, "TestWithoutWalls/S1 S28 a secret on the disk")},
		{id: "S2", title: "tmcd is reached through the proxy only", attacks: in(e2e, "TestWalls/S2 S30 T23 reach"),
			proofs: in(e2e, "TestWithoutWalls/S2 S30 no filters")},
		{id: "S3", title: "a jail speaks for nobody else",
			attacks: slices.Concat(in(e2e, "TestWalls/S3 spoofing"), in("proxy", "TestS3NoJailSpeaksForAnother", "TestS3AgainstTmcdMock")),
			proofs:  in(e2e, "TestWithoutWalls/S3 to tmcd itself")},
		{id: "S4", title: "another jail's proxy socket isn't there", attacks: in(e2e, "TestWalls/S4 S7 S8 S18 sight"),
			proofs: in(e2e, "TestWithoutWalls/S4 another's socket")},
		{id: "S5", title: "the host name can't be set", attacks: in(e2e, "TestWalls/calls/S5"),
			proofs: in(e2e, "TestWithoutWalls/S5 S16 no user namespace")},
		{id: "S6", title: "only its own addresses are bound and sent from",
			attacks: slices.Concat(in(e2e, "TestWalls/S6 addresses", "TestWildcard/1"), in(network, "TestControlSpoofing", "TestExperimentSpoofing", "TestStraightForeignMAC"), in("jailsetup/jail", "TestS6AnAddressIsOneJails")),
			proofs:  in(network, "TestControlSpoofing/without walls", "TestExperimentSpoofing/without walls", "TestStraightForeignMAC")},
		{id: "S7", title: "its own interfaces and sockets are all that it sees", attacks: in(e2e, "TestWalls/S4 S7 S8 S18 sight", "TestS7NoOtherJailInSys"),
			proofs: in(e2e, "TestWithoutWalls/S7 S8 another's network")},
		{id: "S8", title: "loop-back is private", attacks: in(e2e, "TestWalls/S4 S7 S8 S18 sight"),
			proofs: in(e2e, "TestWithoutWalls/S7 S8 another's network")},
		{id: "S9", title: "only ports of its range are bound",
			attacks: slices.Concat(in(e2e, "TestSharedAddress/only ports of the range"), in(permit, "TestBind")),
			proofs:  in(e2e, "TestS9WithoutThePrograms")},
		{id: "S10", title: "no raw socket without INETRAW",
			attacks: in(e2e, "TestPermissionBits/00000000", "TestPermissionBits/00100010", "TestPermissionBits/01001000"),
			proofs:  in(e2e, "TestPermissionBits/11111111", "TestPermissionBits/01000010")},
		{id: "S11", title: "capture sends nothing",
			attacks: slices.Concat(in(permit, "TestCapture"), in(e2e, "TestWalls/calls/S11"), in(network, "TestLoopbackIsNotForwarded")),
			proofs:  slices.Concat(in(permit, "TestCapture"), in(network, "TestLoopbackIsNotForwarded"))},
		{id: "S12", title: "firewall, divert and routes are each a switch",
			attacks: in(e2e, "TestPermissionBits/00000000", "TestPermissionBits/01001000", "TestPermissionBits/00100010"),
			proofs:  in(e2e, "TestPermissionBits/11111111", "TestPermissionBits/01000010")},
		{id: "S13", title: "no System V IPC without SYSVIPC, and none of another's",
			attacks: in(e2e, "TestPermissionBits/00000000", "TestWalls/S13 System V IPC"),
			proofs:  in(e2e, "TestPermissionBits/11111111", "TestWalls/S13 System V IPC")},
		{id: "S14", title: "nothing mounted outside is unmounted", attacks: slices.Concat(in(e2e, "TestWalls/calls/S14"), in(injail, "TestMountsAreLocked")),
			proofs: in(e2e, "TestWithoutWalls/S14 S15 a mount without its lock")},
		{id: "S15", title: "the host's programs are read-only", attacks: in(e2e, "TestWalls/calls/S15"),
			proofs: in(e2e, "TestWithoutWalls/S14 S15 a mount without its lock")},
		{id: "S16", title: "no device can be made or smuggled in", attacks: in(e2e, "TestWalls/calls/S16", "TestWalls/S16 devices", "TestSmuggled", "TestSharesKeepIDs"),
			proofs: in(e2e, "TestWithoutWalls/S16 devices on a mount")},
		{id: "S17", title: "no memory and no setting of the kernel's is reached", attacks: in(e2e, "TestWalls/calls/S17"),
			proofs: in(e2e, "TestWithoutWalls/S17 S18 T9 the host's proc"), unproven: noMemory},
		{id: "S18", title: "processes outside are neither seen nor reached", attacks: in(e2e, "TestWalls/S4 S7 S8 S18 sight"),
			proofs: in(e2e, "TestWithoutWalls/S17 S18 T9 the host's proc")},
		{id: "S19", title: "root inside isn't root outside", attacks: in(e2e, "TestWalls/calls/S19", "TestWalls/S19 T11 ids", "TestSharesKeepIDs"),
			proofs: in(e2e, "TestWithoutWalls/S19 ids that are the host's", "TestSharesKeepIDs/without the map")},
		{id: "S20", title: "whatever runs, the jail ends in time", attacks: in(e2e, "TestWalls/S20 bounded end"),
			proofs: in(e2e, "TestWithoutWalls/S20 a signal for each process")},
		{id: "S21", title: "no user's data is deleted", attacks: in(e2e, "TestS21UsersDataIsKept/a kill", "TestLocalStore/a kill leaves it", "TestS21BusyFilesAreKept", "TestS21DownKeepsWhatIsMounted"), proofs: in(e2e, "TestS21UsersDataIsKept/without the wall")},
		{id: "S22", title: "the disk is bounded", attacks: in(e2e, "TestWalls/S22 disk"),
			proofs: in(e2e, "TestWithoutWalls/S22 T13 a directory of the host's")},
		{id: "S23", title: "CPU, memory and processes are bounded", attacks: in(e2e, "TestWalls/calls/S23", "TestWalls/S23 processors", "TestWalls/S20 bounded end"),
			proofs: in(e2e, "TestWithoutWalls/S23 limits lifted", "TestWithoutWalls/S23 processors shared")},
		{id: "S24", title: "keys of the experiment are the jail's alone", attacks: in(e2e, "TestS24KeysAreTheJails"), proofs: in(e2e, "TestS24KeysAreTheJails")},
		{id: "S25", title: "no chroot is escaped", attacks: in(e2e, "TestWalls/calls/S25"),
			proofs: in(e2e, "TestWithoutWalls/S25 chroot alone")},
		{id: "S26", title: "modules, clock, swap and quota are out of reach", attacks: in(e2e, "TestWalls/calls/S26"),
			proofs: in(e2e, "TestWithoutWalls/S26 T15 no user namespace, no filter"), unproven: noModules},
		{id: "S27", title: "the host follows no path of the jail's", attacks: in(e2e, "TestPlanted", "TestWalls/calls/S27"),
			proofs: in(e2e, "TestS27ANaiveHostFollows")},
		{id: "S28", title: "what tmcd tells the host stays there", attacks: in(e2e, "TestWalls/S1 S28 S29 secrets"),
			proofs: in(e2e, "TestWithoutWalls/S1 S28 a secret on the disk")},
		{id: "S29", title: "what others can't read on the host isn't read inside", attacks: in(e2e, "TestWalls/S1 S28 S29 secrets"),
			proofs: in(e2e, "TestWithoutWalls/S29 the host's usr")},
		{id: "S30", title: "the host answers on listed ports only",
			attacks: slices.Concat(in(e2e, "TestWalls/S2 S30 T23 reach"), in(network, "TestHostAddressesFromJail")),
			proofs:  in(e2e, "TestWithoutWalls/S2 S30 no filters")},
		{id: "S31", title: "the disk isn't promised twice", attacks: in(e2e, "TestSpace"),
			proofs: in(e2e, "TestS31Overcommitted")},
	}
}

// peerRows are those of docs/spec/peers.md §8 that a jail can hold or break.
func peerRows() []row {
	return []row{
		{id: "T1", title: "nothing is inherited but descriptors 0 to 2", attacks: slices.Concat(in(e2e, "TestWalls/T1 descriptors"), in(injail, "TestDescriptorsStayOutside")),
			proofs: in(e2e, "TestWithoutWalls/T1 T3 T4 a descriptor of the host's")},
		{id: "T2", title: "the programs that the host lends can't be written",
			attacks: slices.Concat(in(e2e, "TestWalls/calls/T2", "TestWalls/T2 the host's programs are as before"), in(injail, "TestOurProgramCannotBeReplaced")),
			proofs:  in(e2e, "TestWithoutWalls/T2 programs lent to be written")},
		{id: "T3", title: "a session's directory is inside", attacks: in(injail, "TestADirectoryIsInside"),
			proofs: in(e2e, "TestWithoutWalls/T1 T3 T4 a descriptor of the host's")},
		{id: "T4", title: "what enters can't be traced or robbed", attacks: in(e2e, "TestWithoutWalls/T1 T3 T4 a descriptor of the host's"), proofs: in(e2e, "TestWithoutWalls/T1 T3 T4 a descriptor of the host's")},
		{id: "T5", title: "the host's helpers load nothing of the jail's", attacks: in(e2e, "TestWalls/T5 environment"),
			proofs: in(e2e, "TestWithoutWalls/T5 a program that loads")},
		{id: "T6", title: "no capability is inherited, and no keyring",
			attacks: slices.Concat(in(e2e, "TestWalls/T6 capabilities"), in(injail, "TestCapabilities", "TestKeyringIsNew")),
			proofs:  slices.Concat(in(e2e, "TestWithoutWalls/T6 capabilities handed on"), in(injail, "TestKeyringIsNew"))},
		{id: "T7", title: "a planted tree misleads nobody", attacks: in(e2e, "TestPlanted"),
			proofs: in(e2e, "TestS27ANaiveHostFollows")},
		{id: "T8", title: "nor one that changes meanwhile", part: "100 of 1,000 boots", attacks: in(e2e, "TestSwaps"), proofs: in(e2e, "TestSwapsWithoutWall")},
		{id: "T9", title: "masks are what they claim", attacks: in(e2e, "TestWithoutWalls/S17 S18 T9 the host's proc", "TestVerify/a jail in order"), proofs: in(e2e, "TestWithoutWalls/S17 S18 T9 the host's proc")},
		{id: "T10", title: "users of the host get at nothing", attacks: in(e2e, "TestWalls/T10 others on the host"),
			proofs: in(e2e, "TestWithoutWalls/T10 open directories")},
		{id: "T11", title: "ranges of ids are apart", attacks: in(e2e, "TestWalls/S19 T11 ids"),
			proofs: in(e2e, "TestWithoutWalls/T11 the same ids")},
		{id: "T12", title: "what can't be idmapped is refused", attacks: in(e2e, "TestT12WhatCannotBeMapped"), noProof: noAttack},
		{id: "T13", title: "logs and core dumps are bounded",
			attacks: slices.Concat(in(e2e, "TestWithoutWalls/S22 T13 a directory of the host's"), in("jailsetup/supervise", "TestAuditLogIsBounded"),
				in("jailsetup/hub", "TestT13MistakesDontFillTheLog"), in(injail, "TestT13CoresStayInside")),
			proofs: slices.Concat(in(e2e, "TestWithoutWalls/S22 T13 a directory of the host's"), in(injail, "TestT13CoresStayInside"))},
		{id: "T14", title: "nested namespaces give nothing",
			attacks: slices.Concat(in(e2e, "TestWalls/calls/T14", "TestWalls/T14 nesting"), in(injail, "TestNestingIsBounded")),
			proofs:  in(e2e, "TestWithoutWalls/T14 nesting without a bound")},
		{id: "T15", title: "calls that reach around are refused", attacks: in(e2e, "TestWalls/calls/T15"),
			proofs: in(e2e, "TestWithoutWalls/S26 T15 no user namespace, no filter")},
		{id: "T16", title: "shared tables aren't exhausted", attacks: slices.Concat(in(network, "TestConnectionLimit"), in(e2e, "TestT16SharedTables")), noProof: harmful},
		{id: "T17", title: "no frame misleads others",
			attacks: in(network, "TestControlSpoofing", "TestControlPortsApart", "TestExperimentSpoofing", "TestStraightForeignMAC", "TestOversizedFrame", "TestTrunk", "TestTrunkStranger"),
			proofs:  in(network, "TestControlSpoofing/without walls", "TestControlPortsApart", "TestExperimentSpoofing/without walls", "TestTrunkStranger")},
		{id: "T18", title: "interfaces have the MACs that boss said", attacks: in(network, "TestInside"), noProof: noAttack},
		{id: "T19", title: "a reboot leaves the neighbour's link", attacks: in(network, "TestRebootAtOnce"), noProof: noAttack},
		{id: "T20", title: "long names stay apart", attacks: slices.Concat(in(e2e, "TestLongNames"), in(network, "TestManyLinks")), noProof: noAttack},
		{id: "T21", title: "teardown takes what is recorded", attacks: in(e2e, "TestUplinkName"), noProof: harmful},
		{id: "T22", title: "kill and boot at once", part: "10 of 100 times", attacks: in(e2e, "TestLongNames"), noProof: noAttack},
		{id: "T33", title: "100 boots at once", attacks: full(e2e, "TestBootsAtOnce"), noProof: noAttack},
		{id: "T34", title: "254 jails on one host", attacks: in(e2e, "TestManyJails"), part: "25 of them", noProof: noAttack},
		{id: "T35", title: "kill -9 at every step leaves nothing", attacks: in(e2e, "TestKilledInBoot"), noProof: noAttack},
		{id: "T36", title: "reboot and poweroff mean the jail's", attacks: slices.Concat(in(e2e, "TestEndsByItself"), in(injail, "TestWordsMeanWhatTheySay")), noProof: noAttack},
		{id: "T37", title: "a boot says what it did", attacks: in(e2e, "TestTrace"), noProof: noAttack},
		{id: "T45", title: "logs follow no link and wait on no fifo", attacks: in(e2e, "TestLogs"),
			proofs: in(e2e, "TestWithoutWalls/T45 a reader that follows links")},
		{id: "T49", title: "keys and records are root's, and in no log", attacks: slices.Concat(in("tmcd-mock/pki", "TestT49Modes"), in(e2e, "TestT49RecordsAreRoots")), proofs: in(e2e, "TestT49RecordsAreRoots")},
		{id: "T50", title: "the next owner of an id finds nothing", attacks: in(e2e, "TestT50ANodeOfAnotherProjectFindsNothing"),
			proofs: in(e2e, "TestWithoutWalls/T50 a disk that is kept")},
	}
}
