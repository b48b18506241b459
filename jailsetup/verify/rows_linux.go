package verify

const (
	ofItsOwn = "needs jails of its own: make security"
	ofABoot  = "is about a boot or an end: make security"
)

// jailRows are those of docs/spec/jail.md §5.
func jailRows() []row {
	return []row{
		{id: "S1", holds: "no file of the host's secrets is on the jail's disk", carrier: "a disk of its own, built from a list", outside: noSecrets},
		{id: "S2", holds: "tmcd's ports don't answer in the jail's network", carrier: "nftables on the control network", outside: tmcdUnreachable},
		{id: "S3", holds: "the jail's socket is its own", carrier: "a listening socket a jail, SO_PEERPIDFD", outside: socketOwn},
		{id: "S4", holds: "nothing of another jail's is mounted", carrier: "mount namespace", outside: noHostTree},
		{id: "S5", holds: "the host name isn't the jail's to set", carrier: "UTS namespace owned outside, seccomp", outside: hostNameOuter, inside: []string{"sethostname"}},
		{id: "S6", holds: "its port sends in its own name only", carrier: "nftables on the host's end of the veth", outside: sourcesTied, inside: []string{"bind:foreign"}},
		{id: "S7", holds: "interfaces and sockets are its own", carrier: "network namespace", outside: networkApart},
		{id: "S8", holds: "loop-back is its own", carrier: "network namespace", outside: networkApart},
		{id: "S9", holds: "binding is held to the range", carrier: "cgroup-bpf, ip_local_port_range", outside: portsHeld},
		{id: "S10", holds: "no raw socket", carrier: "capability bounding set, seccomp", outside: rawGranted, inside: []string{"socket:raw"}},
		{id: "S11", holds: "captures send nothing", carrier: "a BPF program at each link, seccomp", outside: captureHeld, inside: []string{"socket:packet"}, either: true},
		{id: "S12", holds: "the firewall isn't the jail's", carrier: "capability bounding set, seccomp", outside: netGranted, inside: []string{"socket:netfilter"}},
		{id: "S13", holds: "System V IPC is its own", carrier: "IPC namespace", outside: func(f *Facts) error { return f.apart("ipc") }},
		{id: "S14", holds: "what is mounted outside is locked", carrier: "mount namespace of a lesser user namespace", outside: mountsLocked, inside: []string{"umount:usr", "umount:emulab"}},
		{id: "S15", holds: "/usr is read-only, and stays so", carrier: "idmapped read-only mount, locked", outside: programsReadOnly, inside: []string{"write:usr", "writable:usr"}},
		{id: "S16", holds: "no device but those listed, none in what is lent", carrier: "nodev mounts, user namespace", outside: noDevices, inside: []string{"mknod"}},
		{id: "S17", holds: "memory and settings of the kernel are covered", carrier: "masks over /proc and /sys, user namespace", outside: kernelMasked,
			inside: []string{"open:mem", "open:port", "read:kcore", "read:kallsyms", "read:keys", "write:core_pattern"}},
		{id: "S18", holds: "its processes are apart", carrier: "pid namespace", outside: processesApart},
		{id: "S19", holds: "its root is an id of no power", carrier: "user namespace", outside: idsMapped},
		{id: "S20", holds: "one write ends it", carrier: "cgroup.kill, pid namespace", outside: canBeEnded},
		{id: "S21", skip: ofABoot},
		{id: "S22", holds: "its disk has the size that is reserved", carrier: "loop device", outside: diskBounded},
		{id: "S23", holds: "processes and memory are limited as the site file says", carrier: "cgroups", outside: bounded, inside: []string{"nice"}},
		{id: "S24", holds: "what the host keeps of it is root's", carrier: "modes, mount namespace", outside: recordsPrivate},
		{id: "S25", holds: "no directory of the host's is left to escape to", carrier: "pivot_root, old root detached", outside: noHostTree},
		{id: "S26", holds: "clock, swap and modules are refused", carrier: "seccomp, bounding set, user namespace", outside: filtered, inside: []string{"clock", "swapon", "init_module", "delete_module", "kexec"}},
		{id: "S27", holds: "what the host lends lies in directories of its own, read-only", carrier: "read-only mounts, locked", outside: givenReadOnly, inside: []string{"write:emulab"}},
		{id: "S28", skip: "needs a testbed with planted secrets: make security"},
		{id: "S29", holds: "what others can't read below /usr is covered", carrier: "masks", outside: unreadableMasked},
		{id: "S30", holds: "a port that isn't listed doesn't answer in the jail's network", carrier: "nftables on the control network", outside: hostUnreachable},
		{id: "S31", holds: "its disk is within what is reserved", carrier: "the records", outside: diskBounded},
	}
}

// peerRows are those of docs/spec/peers.md §8 that a jail can hold or break.
func peerRows() []row {
	return []row{
		{id: "T1", holds: "its first process has no directory open", carrier: "close_range before exec", outside: descriptors},
		{id: "T2", holds: "lent programs can't be written", carrier: "read-only mount, locked", outside: givenReadOnly, inside: []string{"write:injail"}},
		{id: "T3", skip: ofItsOwn},
		{id: "T4", holds: "no process of the host's is in it", carrier: "enter by the jail's own init", outside: processesApart},
		{id: "T5", holds: "its first process loads no library", carrier: "a static program", outside: linksNothing},
		{id: "T6", holds: "nothing is inherited past a change of user", carrier: "capability sets", outside: nothingInherited},
		{id: "T7", skip: ofABoot},
		{id: "T8", skip: ofABoot},
		{id: "T9", holds: "masks are null devices and empty directories", carrier: "tmpfs mounts of the host's", outside: masksAreNull},
		{id: "T10", holds: "its tree is closed to the host's users", carrier: "modes", outside: func(f *Facts) error { return private(f.Site.State, f.Site.Dir(f.Record.VNode)) }},
		{id: "T11", holds: "its ids are nobody else's", carrier: "user namespace, the records", outside: rangesApart},
		{id: "T12", holds: "every mount of a disk is idmapped", carrier: "idmapped mounts", outside: sharesMapped},
		{id: "T13", holds: "its logs lie on its disk, which is bounded; its core dumps start nothing", carrier: "loop device, a limit", outside: writesBounded},
		{id: "T14", holds: "nested namespaces give nothing", carrier: "user namespace, masks over /proc", outside: mountsLocked, inside: []string{"mount:proc", "mount:sysfs", "mount:debugfs", "cgroup:limits"}},
		{id: "T15", holds: "calls that reach around are refused", carrier: "seccomp", outside: filtered,
			inside: []string{"bpf", "perf_event_open", "userfaultfd", "io_uring", "open_by_handle_at", "syslog", "add_key", "keyctl", "socket:vsock", "socket:alg"}},
		{id: "T16", holds: "its share of the host's tables is bounded", carrier: "cgroups, owner of the user namespace", outside: countedApart},
		{id: "T17", holds: "its port carries frames of its own only", carrier: "nftables bridge table", outside: sourcesTied},
		{id: "T18", skip: ofABoot}, {id: "T19", skip: ofABoot}, {id: "T20", skip: ofItsOwn}, {id: "T21", skip: ofABoot}, {id: "T22", skip: ofABoot},
		{id: "T33", skip: ofItsOwn}, {id: "T34", skip: ofItsOwn}, {id: "T35", skip: ofABoot}, {id: "T36", skip: ofABoot},
		{id: "T37", holds: "its boot is traced", carrier: "the records", outside: traced},
		{id: "T45", skip: ofItsOwn},
		{id: "T49", holds: "records are root's", carrier: "modes", outside: recordsPrivate},
		{id: "T50", skip: ofABoot},
	}
}
