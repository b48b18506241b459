package testbed

import "maps"

// Facts about Emulab's database that the code needs: column defaults, keys,
// and which columns are looked up often enough to index.

// schemaDefaults are the column defaults of Emulab's tables, those that are
// not NULL. A file's defaults: section adds to them.
func schemaDefaults() map[string]Columns {
	queue := merged(
		zero("q_limit", "q_maxthresh", "q_minthresh", "q_linterm", "q_qinbytes", "q_bytes", "q_meanpsize",
			"q_wait", "q_setbit", "q_droptail", "q_red", "q_gentle"),
		Columns{"q_weight": float64(0)},
	)
	return map[string]Columns{
		"projects":         zero("public"),
		"node_types":       zero("isvirtnode", "isremotenode", "issubnode", "isplabdslice"),
		"os_info_versions": zero("shared"),
		"image_versions":   merged(zero("shared", "global", "ready"), Columns{"format": "ndz"}),
		"experiments": merged(zero("priority", "shared", "elab_in_elab", "elabinelab_singlenet", "lockdown", "geniflags", "nonfsmounts"),
			Columns{"nfsmounts": "emulabdefault"}),
		"nodes": merged(zero("ready", "update_accounts", "jailflag", "rtabid", "boot_errno", "nonfsmounts"),
			Columns{"priority": int64(-1), "routertype": "none", "sshdport": int64(11000)}),
		"interfaces":        zero("rtabid"),
		"reserved":          merged(zero("inner_elab_boot", "plab_boot", "mustwipe"), Columns{"erole": "node", "plab_role": "none"}),
		"widearea_nodeinfo": Columns{"gateway": "", "boot_method": ""},
		"virt_nodes":        Columns{"plab_role": "none", "plab_plcnet": "none", "role": "node"},
		"virt_lans": merged(queue, zero("widearea", "emulated", "trace_snaplen"),
			Columns{"delay": "0.00", "cost": float64(1), "protocol": "ethernet", "trace_type": "header"}),
		"vinterfaces":         zero("bandwidth"),
		"lans":                zero("ready"),
		"linkdelays":          queue,
		"tiplines":            zero("disabled"),
		"geni-cm.geni_slices": zero("lockdown"),
	}
}

// zero are columns with the default 0.
func zero(names ...string) Columns {
	columns := Columns{}
	for _, name := range names {
		columns[name] = int64(0)
	}
	return columns
}

// merged are all the columns of several lists.
func merged(lists ...Columns) Columns {
	columns := Columns{}
	for _, list := range lists {
		maps.Copy(columns, list)
	}
	return columns
}

type siteVariable struct{ name, value string }

// siteVariables are the site variables that tmcd reads, with their defaults.
func siteVariables() []siteVariable {
	return []siteVariable{
		{"general/arplockdown", "none"},
		{"general/disk_trim_interval", "0"},
		{"general/xenvifrouting", "0"},
		{"node/boss_ip", ""},
		{"node/boss_mac", ""},
		{"node/fs_ip", ""},
		{"node/fs_mac", ""},
		{"node/gw_ip", ""},
		{"node/gw_mac", ""},
		{"node/nfs_transport", "udp"},
		{"node/ops_ip", ""},
		{"node/ops_mac", ""},
		{"node/ssh_pubkey", ""},
		{"watchdog/cvsup", "720"},
		{"watchdog/dhcpdconf", "5"},
		{"watchdog/hostkeys", "999999"},
		{"watchdog/interval", "60"},
		{"watchdog/isalive/local", "3"},
		{"watchdog/isalive/plab", "10"},
		{"watchdog/isalive/vnode", "5"},
		{"watchdog/isalive/wa", "1"},
		{"watchdog/ntpdrift", "240"},
		{"watchdog/rusage", "300"},
	}
}

// indexes names the columns of a table that have an index.
func indexes(table string) []string {
	switch table {
	case "nodes":
		return []string{"node_id", "phys_nodeid", "jailip"}
	case "interfaces":
		return []string{"node_id", "IP"}
	case "reserved":
		return []string{"node_id", "exptidx", "eid", "vname", "external_resource_key"}
	case "vinterfaces":
		return []string{"node_id", "vnode_id"}
	case "users":
		return []string{"uid", "uid_idx"}
	case "user_pubkeys":
		return []string{"uid", "uid_idx"}
	case "user_sfskeys", "nonlocal_user_pubkeys":
		return []string{"uid_idx"}
	case "groups":
		return []string{"pid", "pid_idx", "gid_idx"}
	case "projects":
		return []string{"pid", "pid_idx"}
	case "group_membership":
		return []string{"pid", "pid_idx", "uid"}
	case "experiments":
		return []string{"idx", "eid"}
	case "v2pmap":
		return []string{"exptidx", "eid", "node_id"}
	case "virt_lans", "virt_user_environment", "virt_firewalls", "firewall_rules", "plab_slices", "port_registration":
		return []string{"exptidx", "eid"}
	case "lans":
		return []string{"exptidx", "lanid"}
	case "virt_lan_lans", "virt_programs", "virt_trafgens", "virt_routes", "virt_nodes", "virt_node_attributes",
		"virt_node_disks", "virt_profile_parameters", "ipport_ranges", "experiment_blobs", "linkdelays", "nseconfigs",
		"elabinelab_attributes", "nonlocal_user_accounts", "virt_client_service_ctl", "virt_client_service_hooks":
		return []string{"exptidx"}
	case "lan_members", "interface_settings", "partitions", "node_attributes", "node_hostkeys",
		"current_reloads", "node_status", "node_bootlogs", "node_rusage", "ntpinfo", "tiplines", "bridges", "widearea_accounts":
		return []string{"node_id"}
	case "widearea_nodeinfo":
		return []string{"node_id", "privkey"}
	case "subbosses":
		return []string{"subboss_id"}
	case "lan_attributes", "lan_member_attributes", "reserved_vlantags":
		return []string{"lanid"}
	case "vlans":
		return []string{"id"}
	case "images", "image_versions":
		return []string{"imageid"}
	case "os_info", "os_info_versions":
		return []string{"osid"}
	case "blobs":
		return []string{"vblob_id"}
	case "client_services":
		return []string{"idx"}
	case "client_service_ctl":
		return []string{"obj_name"}
	case "geni-cm.geni_slivers":
		return []string{"resource_uuid", "aggregate_uuid"}
	case "geni-cm.geni_certificates":
		return []string{"uuid", "urn"}
	case "geni-cm.geni_slices":
		return []string{"uuid"}
	case "node_types", "node_type_attributes":
		return []string{"type"}
	case "sitevariables":
		return []string{"name"}
	}
	return nil
}

// keys names the columns that tell the rows of a table apart; nil: unknown.
// A row of a file's rows: section that has the key of a row that is there
// already changes that row.
func keys(table string) []string {
	switch table {
	case "projects":
		return []string{"pid"}
	case "groups":
		return []string{"pid", "gid"}
	case "users":
		return []string{"uid"}
	case "group_membership":
		return []string{"uid", "gid", "pid"}
	case "user_pubkeys":
		return []string{"uid", "idx"}
	case "node_types":
		return []string{"type"}
	case "node_type_attributes":
		return []string{"type", "attrkey"}
	case "node_attributes":
		return []string{"node_id", "attrkey"}
	case "experiments":
		return []string{"pid", "eid"}
	case "ipport_ranges":
		return []string{"exptidx"}
	case "nodes", "reserved", "node_hostkeys", "widearea_nodeinfo":
		return []string{"node_id"}
	case "interfaces":
		return []string{"node_id", "iface"}
	case "vinterfaces":
		return []string{"node_id", "unit"}
	case "v2pmap":
		return []string{"exptidx", "vname"}
	case "virt_lan_lans":
		return []string{"exptidx", "idx"}
	case "virt_lans":
		return []string{"exptidx", "vname", "vnode", "vport"}
	case "virt_programs", "virt_trafgens":
		return []string{"exptidx", "vnode", "vname"}
	case "virt_routes":
		return []string{"exptidx", "vname", "src", "dst"}
	case "virt_user_environment":
		return []string{"exptidx", "idx"}
	case "virt_node_attributes":
		return []string{"exptidx", "vname", "attrkey"}
	case "experiment_blobs":
		return []string{"idx"}
	case "sitevariables":
		return []string{"name"}
	}
	return nil
}
