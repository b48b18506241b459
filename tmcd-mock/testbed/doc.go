package testbed

import "time"

// The types of this file are a testbed as people write it; each field's key
// stands in its comment or follows from its name. expand.go turns them into
// rows, recognize.go finds them in rows, emit.go writes them.

type doc struct {
	site        Site
	defaults    map[string]Columns
	siteVars    []rawRow
	files       map[string][]byte
	projects    []project
	groups      []group
	users       []user
	types       []nodeType
	experiments []experiment
	hosts       []host
	vnodes      []vnode
	rows        []rawTable // rows: added, or changing what has the same key
	tables      []rawTable // tables: each has exactly these rows
	faults      Section
	timeline    Section
}

type project struct {
	line     int
	pid      string
	name     string
	head     string // uid
	gid      int    // unix gid
	idx      int
	nonlocal string // URN of a project of another testbed
}

type group struct { // key: pid/gid
	line     int
	pid, gid string
	unixName string // unix_name
	unixGID  int    // gid
	leader   string
	idx      int
}

type user struct {
	line        int
	uid         string
	name, email string
	unixUID     int    // uid
	idx         int    // defaults to uid
	password    string // hash
	windows     string // windows_password
	shell       string
	status      string // active, frozen, …
	admin       bool
	webOnly     bool   // web_only
	remoteRoot  bool   // remote_root: root on remote hosts
	jailRoot    bool   // remote_jail_root
	modified    string // time of the last change, SERIAL= of accounts
	emulabKey   string // emulab_pubkey, for clients of version 4
	keys        []string
	groups      []membership // groups: {pid or pid/gid: trust}
}

type membership struct {
	line     int
	pid, gid string
	trust    string // none, user, local_root, group_root, project_root
}

type nodeType struct {
	name, class                               string
	virtual, jailed, dynamic, remote, subnode bool
	attributes                                []attribute
}

type attribute struct {
	key   string
	value any
}

type experiment struct { // key: pid/eid
	line             int
	pid, eid         string
	gid              string // group
	idx              int
	creator, swapper string
	creatorLine      int
	swapperLine      int
	syncServer       string // sync_server
	keyHash          string // keyhash
	eventKey         string // eventkey
	mounts           string // emulabdefault, all, none, genidefault
	ports            [2]int // [low, high] shared by its vnodes
	lans             []lan
	programs         []program
	traffic          []traffic
	routes           []route
	environment      []attribute
	blobs            []blob
	schedule         []Event
	eventGroups      []eventGroup // event_groups
	shaped           int          // ends of links so far
}

type lan struct {
	line    int
	name    string
	idx     int
	mask    string
	kind    string // veth, veth-ne, vlan
	iface   string // of the host, empty: a LAN within one host
	vlan    int    // tag's id
	members []member
	shape   *shape
	columns []attribute // of virt_lans, when nothing is to follow from them
}

type member struct {
	line int
	node string // vname
	ip   string
}

type program struct {
	line       int
	name, node string
	command    string
	dir        any
	timeout    any
	expect     any
}

type traffic struct {
	line         int
	name, node   string
	to           string // name of the other end
	toNode       string
	role, proto  string
	port, toPort int
	ip, toIP     string
	generator    string
}

type route struct {
	line       int
	node       string
	to         string // address
	mask, kind string // host or net
	via, src   string
	cost       int
}

type blob struct {
	idx          int
	path, action string
}

type nodeCommon struct {
	line       int
	id         string
	experiment string // pid/eid
	name       string // vname in the experiment
	typ        string // type
	role       string // of the node in its experiment: node, virthost, sharedhost, …
	sharing    string
	uuid       string
	mode       string // op_mode
	state      string // eventstate
	startup    string
	routing    string // none, static, manual, ospf, static-ddijk, static-old
	rpms       string
	tarballs   string
	taint      string
	update     int // accounts to update, UPDATE= of isalive
	mounts     string
	os         int         // def_boot_osid
	attributes []attribute // virt_node_attributes
	resKey     string      // external_resource_key
}

type host struct {
	nodeCommon
	ip, mask, mac string
	card          string // interface_type of the control interface
	control       bool   // boss, ops and the like: TLS only, no jails
	remote        bool
	privkey       string
	contact       string
	hostname      string
	interfaces    []iface
}

type iface struct {
	line          int
	name          string
	ip, mask, mac any
	kind, role    string
	speed, duplex string
}

type vnode struct {
	nodeCommon
	host     string
	jailIP   string // jail: {ip, mask, mac, cardmask}
	jailMask string
	jailMAC  string // if given, the vnode has a control interface of its own
	jailed   bool
	sshd     int    // sshdport
	ports    [3]int // ipport_low, next, high of the node itself
}

// Event is one line of an experiment's schedule: what the event system sends
// to an object of the experiment. The mock keeps it for whoever plays events.
type Event struct {
	line     int           // where the file says so, while it is read
	At       time.Duration // after the start of the experiment
	PID, EID string
	Object   string // agent's name, as in trafgens or programs
	Action   string // START, STOP, MODIFY, …
	Args     []Arg
}

// eventGroup is a name for several objects.
type eventGroup struct {
	line    int
	name    string
	members []string
}

// Arg is KEY=value of an event.
type Arg struct{ Key, Value string }

type rawTable struct {
	line int
	name string
	rows []rawRow
}

type rawRow struct {
	line    int
	columns Columns
}
