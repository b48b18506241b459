package conformance

// orderRows are spec §4: which check comes first, and who is refused what.
func orderRows() []Row {
	remote := host(nodeid).by(asRemote)
	secret := func(command string) check {
		q := host("VERSION=40 " + command + " ").by(asRemote)
		return all(silent(remote, q), answered(q.over(overTL)))
	}
	return []Row{
		{ID: "4/1", Rule: "keyhash is told to a remote node over TLS only", check: secret("keyhash")},
		{ID: "4/2", Rule: "eventkey is told to a remote node over TLS only", check: secret("eventkey")},
		{ID: "4/3", Rule: "accounts are told to a remote node over TLS only", check: silent(remote, host("VERSION=40 accounts ").by(asRemote))},
		{ID: "4/4", Rule: "rootpswd is told to a remote node over TLS only", check: secret("rootpswd")},
		{ID: "4/5", Rule: "a local node gets keyhash and eventkey without TLS",
			check: all(answered(host("VERSION=40 keyhash ")), answered(host("VERSION=40 eventkey ")))},
		{ID: "4/6", Rule: "a remote node is answered what needs no TLS over TCP", check: answered(host("VERSION=40 status ").by(asRemote))},
		{ID: "4/7", Rule: "UDP from a remote node is answered for a few commands only: watchdoginfo, not status",
			check: silent(host("VERSION=40 watchdoginfo ").over(udp).by(asRemote), host("VERSION=40 status ").over(udp).by(asRemote),
				host("VERSION=40 nodeid ").over(udp).by(asRemote))},
		{ID: "4/8", Rule: "no secret over UDP to a remote node", check: silent(host("VERSION=40 watchdoginfo ").over(udp).by(asRemote),
			host("VERSION=40 keyhash ").over(udp).by(asRemote), host("VERSION=40 eventkey ").over(udp).by(asRemote))},
		{ID: "4/9", Rule: "arpinfo wants TLS of everybody", check: silent(host(nodeid), host("VERSION=40 arpinfo "))},
		{ID: "4/10", Rule: "identification comes before the command: a stranger learns nothing from geni_ errors",
			check: silent(host("VERSION=40 geni_nosuch "), host("VERSION=40 geni_nosuch ").by(asStranger))},
		{ID: "4/11", Rule: "plabeventkeys is for a plab service slice", check: silent(host(nodeid), host("VERSION=40 plabeventkeys "))},
		{ID: "4/12", Rule: "what wants the node's TPM is refused without TLS", check: silent(host(nodeid), host("VERSION=40 tpmdummy "), host("VERSION=40 imagekey "))},
		{ID: "4/13", Rule: "isalive is answered to a remote node over UDP", check: answered(host("VERSION=40 isalive ").over(udp).by(asRemote))},
	}
}
