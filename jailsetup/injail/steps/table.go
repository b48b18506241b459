package steps

// setup are the steps that come before the list of jail.md §3.4: where we are,
// what we were told, who we are.
func setup() []Step {
	return []Step{
		{Name: "directories", Fatal: true, boot: directories},
		{Name: "config", Fatal: true, boot: fetchConfig},
		{Name: "nickname", Fatal: true, boot: nickname, reset: removeNickname},
	}
}

// table is the list of jail.md §3.4, in its order: what of it a jail does
// itself. Outside are made: mounts, tunnels, interfaces, delays. Not for jails:
// firewall, tpm, localize, link agent, tip tunnels, mote log.
func table() []Step {
	return []Step{
		{Name: "creator", Fatal: true, boot: creator, reset: removeCreator},
		{Name: "keys", boot: keys, reset: removeKeys},
		{Name: "accounts", boot: accounts, reset: resetAccounts},
		{Name: "hostnames", boot: hostNames, reset: resetHostNames},
		{Name: "agents", Fatal: true, boot: startAgents, shutdown: stopAgents},
		{Name: "tarballs", boot: tarballs, reset: forgetTarballs},
	}
}
