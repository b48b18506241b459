package testbed

// Facts about Emulab's database that the code needs: column defaults, keys,
// and which columns are looked up often enough to index.

// schemaDefaults are the column defaults of Emulab's tables, those that are
// not NULL. A file's defaults: section adds to them.
func schemaDefaults() map[string]Columns {
	return map[string]Columns{
		"projects": {
			"public": int64(0),
		},
		"node_types": {
			"isvirtnode":   int64(0),
			"isremotenode": int64(0),
			"issubnode":    int64(0),
			"isplabdslice": int64(0),
		},
		"os_info_versions": {
			"shared": int64(0),
		},
		"image_versions": {
			"shared": int64(0),
			"global": int64(0),
			"format": "ndz",
			"ready":  int64(0),
		},
		"experiments": {
			"priority":             int64(0),
			"shared":               int64(0),
			"elab_in_elab":         int64(0),
			"elabinelab_singlenet": int64(0),
			"lockdown":             int64(0),
			"geniflags":            int64(0),
			"nonfsmounts":          int64(0),
			"nfsmounts":            "emulabdefault",
		},
		"nodes": {
			"ready":           int64(0),
			"priority":        int64(-1),
			"routertype":      "none",
			"update_accounts": int64(0),
			"sshdport":        int64(11000),
			"jailflag":        int64(0),
			"rtabid":          int64(0),
			"boot_errno":      int64(0),
			"nonfsmounts":     int64(0),
		},
		"interfaces": {
			"rtabid": int64(0),
		},
		"reserved": {
			"erole":           "node",
			"inner_elab_boot": int64(0),
			"plab_role":       "none",
			"plab_boot":       int64(0),
			"mustwipe":        int64(0),
		},
		"widearea_nodeinfo": {
			"gateway":     "",
			"boot_method": "",
		},
		"virt_nodes": {
			"plab_role":   "none",
			"plab_plcnet": "none",
			"role":        "node",
		},
		"virt_lans": {
			"delay":         "0.00",
			"q_limit":       int64(0),
			"q_maxthresh":   int64(0),
			"q_minthresh":   int64(0),
			"q_weight":      float64(0),
			"q_linterm":     int64(0),
			"q_qinbytes":    int64(0),
			"q_bytes":       int64(0),
			"q_meanpsize":   int64(0),
			"q_wait":        int64(0),
			"q_setbit":      int64(0),
			"q_droptail":    int64(0),
			"q_red":         int64(0),
			"q_gentle":      int64(0),
			"cost":          float64(1),
			"widearea":      int64(0),
			"emulated":      int64(0),
			"protocol":      "ethernet",
			"trace_type":    "header",
			"trace_snaplen": int64(0),
		},
		"vinterfaces": {
			"bandwidth": int64(0),
		},
		"lans": {
			"ready": int64(0),
		},
		"linkdelays": {
			"q_limit":     int64(0),
			"q_maxthresh": int64(0),
			"q_minthresh": int64(0),
			"q_weight":    float64(0),
			"q_linterm":   int64(0),
			"q_qinbytes":  int64(0),
			"q_bytes":     int64(0),
			"q_meanpsize": int64(0),
			"q_wait":      int64(0),
			"q_setbit":    int64(0),
			"q_droptail":  int64(0),
			"q_red":       int64(0),
			"q_gentle":    int64(0),
		},
		"tiplines": {
			"disabled": int64(0),
		},
		"geni-cm.geni_slices": {
			"lockdown": int64(0),
		},
	}
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
		return []string{"node_id", "exptidx", "vname", "external_resource_key"}
	case "vinterfaces":
		return []string{"node_id", "vnode_id"}
	case "users":
		return []string{"uid", "uid_idx"}
	case "user_pubkeys", "widearea_accounts":
		return []string{"uid"}
	case "groups", "projects":
		return []string{"pid"}
	case "group_membership":
		return []string{"pid", "uid"}
	case "experiments":
		return []string{"idx"}
	case "lans", "virt_lans", "virt_lan_lans", "virt_programs", "virt_trafgens", "virt_routes",
		"virt_user_environment", "virt_nodes", "virt_node_attributes", "virt_node_disks",
		"ipport_ranges", "experiment_blobs", "traces", "linkdelays", "delays",
		"virt_client_service_ctl", "virt_client_service_hooks":
		return []string{"exptidx"}
	case "lan_members", "interface_settings", "partitions", "node_attributes", "node_hostkeys",
		"current_reloads", "node_status", "node_bootlogs", "node_rusage", "widearea_nodeinfo", "ntpinfo",
		"port_registration":
		return []string{"node_id"}
	case "lan_member_attributes":
		return []string{"lanid"}
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
