package steps

// setup are the steps that come before the list of jail.md §3.4: where we are,
// what we were told, who we are.
func setup() []Step {
	return []Step{
		{Name: "directories", Fatal: true, boot: directories},
		{Name: "config", Fatal: true, boot: fetchConfig},
		{Name: "aliases", boot: aliases},
		{Name: "nickname", Fatal: true, boot: nickname, reset: removeNickname},
		{Name: "rootpassword", boot: rootPassword, reset: lockRoot},
	}
}

// table is the list of jail.md §3.4, in its order: what of it a jail does
// itself. Outside are made: mounts, tunnels, interfaces, delays. Not for jails:
// firewall, tpm, localize, link agent, tip tunnels, mote log.
func table() []Step {
	return []Step{
		{Name: "creator", Service: "rc.misc", Fatal: true, boot: creator, reset: removeCreator},
		{Name: "keys", Service: "rc.keys", boot: keys, reset: removeKeys},
		{Name: "blobs", Service: "rc.blobs", boot: blobs, reset: forgetBlobs},
		{Name: "topomap", Service: "rc.topomap", boot: topoMap, reset: removeMaps},
		{Name: "accounts", Service: "rc.accounts", boot: accounts, reset: resetAccounts},
		{Name: "route", Service: "rc.route", boot: route, shutdown: stopRoute},
		{Name: "hostnames", Service: "rc.hostnames", boot: hostNames, reset: resetHostNames},
		{Name: "trace", Service: "rc.trace", boot: trace, shutdown: stopTrace},
		{Name: "syncserver", Service: "rc.syncserver", boot: syncServer, shutdown: stopSyncServer, reset: removeSyncServer},
		// Watchdog, traffic generators and programs in one.
		{Name: "agents", Service: "rc.trafgen", Fatal: true, boot: startAgents, shutdown: stopAgents},
		{Name: "tarballs", Service: "rc.tarfiles", boot: tarballs, reset: forgetTarballs},
		{Name: "rpms", Service: "rc.rpms", boot: rpms, reset: forgetRPMs},
	}
}
