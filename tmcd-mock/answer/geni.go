package answer

import (
	"encoding/json"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// The GENI family is the only one with an answer for failures: a NUL comes
// before what is right, two before what is wrong (docs/spec/protocol.md §1).
const (
	geniOK       = "\x00"
	geniUnknown  = "\x00\x00unknown request\n"
	geniInternal = "\x00\x00internal error handling request\n"
	geniNoParam  = "\x00\x00undefined parameter\n"
	geniBadParam = "\x00\x00illegal parameter\n"
)

const geniHelp = `{
 "client_id":    "Return the experimenter-specified client_id for this node",
 "commands":     "Show all available commands",
 "control_mac":  "Show the MAC address of the control interface on this node",
 "geni_user":    "Show user accounts and public keys installed on this node",
 "getversion":   "Report the GetVersion output of the aggregate manager that allocated this node",
 "manifest":     "Show the manifest rspec for the local aggregate sliver",
 "slice_email":  "Retrieve the e-mail address from the certificate of the slice containing this node",
 "slice_urn":    "Show the URN of the slice containing this node",
 "sliverstatus": "Give the current status of this sliver (AM API v2)",
 "status":       "Give the current status of this sliver (AM API v3)",
 "user_email":   "Show the e-mail address of this sliver's creator",
 "user_urn":     "Show the URN of this sliver's creator"
}`

// geni runs a command of the family; other names have no answer.
func (c *call) geni(name string) {
	what, ok := strings.CutPrefix(name, "geni_")
	if !ok {
		return
	}
	switch what {
	case "commands":
		c.geniValue(geniHelp, true)
	case "version":
		c.geniValue("1", true)
	case "param":
		c.geniParam()
	case "all":
		c.geniValue(c.geniAll(), true)
	case "invalid":
		c.out = append(c.out, geniUnknown...)
	default:
		c.geniValue(c.geniGet(what))
	}
}

func (c *call) geniValue(value string, ok bool) {
	if !ok {
		c.out = append(c.out, geniInternal...)
		return
	}
	c.out = append(append(append(c.out, geniOK...), value...), '\n')
}

// geniGet is one piece of what is known about a node and its slice; false if
// it has none and that is an error.
func (c *call) geniGet(what string) (string, bool) {
	sliver := c.db.First("geni-cm.geni_slivers", "resource_uuid", c.who.node.Text("uuid"))
	slice := c.db.First("geni-cm.geni_slices", "uuid", sliver.Text("slice_uuid"))
	switch what {
	case "client_id":
		if !c.who.allocated() {
			return "", true
		}
		return c.who.nickname, true
	case "control_mac":
		return control(c.db, c.who.id).Text("mac"), true
	case "slice_urn":
		cert := c.db.First("geni-cm.geni_certificates", "uuid", slice.Text("uuid"))
		return cert.Text("urn"), !cert.IsZero()
	case "slice_email":
		return emailOf(c.db.First("geni-cm.geni_certificates", "uuid", slice.Text("uuid"))), true
	case "user_urn":
		return slice.Text("creator_urn"), !slice.IsZero()
	case "user_email":
		cert := c.db.First("geni-cm.geni_certificates", "urn", slice.Text("creator_urn"))
		return emailOf(cert), !slice.IsZero() && !cert.IsZero()
	case "geni_user":
		return c.geniUsers()
	case "manifest":
		return c.db.First("geni-cm.geni_manifests", "slice_uuid", slice.Text("uuid")).Text("manifest"), true
	case "certificate":
		return c.db.First("geni-cm.geni_slicecerts", "uuid", slice.Text("uuid")).Text("cert"), true
	case "key":
		return c.db.First("geni-cm.geni_slicecerts", "uuid", slice.Text("uuid")).Text("privkey"), true
	case "getversion":
		return c.geniVersion(), true
	case "sliverstatus":
		return c.sliverStatus(slice)
	case "status":
		return c.sliceStatus(slice)
	}
	return "", false
}

// emailOf is the address in a certificate's name.
func emailOf(cert testbed.Row) string {
	_, address, _ := strings.Cut(cert.Text("DN"), "emailAddress=")
	address, _, _ = strings.Cut(address, "/")
	address, _, _ = strings.Cut(address, ",")
	return address
}

// quoted is a string in JSON.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func (c *call) geniUsers() (string, bool) {
	var users []string
	for u := range c.db.Where("nonlocal_user_accounts", "exptidx", c.who.exptidx) {
		var keys []string
		for k := range c.db.Where("nonlocal_user_pubkeys", "uid_idx", u.Text("uid_idx")) {
			keys = append(keys, quoted(k.Text("pubkey")))
		}
		users = append(users, `{"urn":`+quoted(u.Text("urn"))+`,"keys":[`+strings.Join(keys, ",")+`]}`)
	}
	return "[" + strings.Join(users, ",") + "]", len(users) > 0
}

func (c *call) geniVersion() string {
	hash := c.db.First("version_info", "name", "commithash").Text("value")
	api := func(v string) string {
		return quoted(v) + ":" + quoted(c.site.WWW+":12369/protogeni/xmlrpc/am/"+v+".0")
	}
	return `{"geni_am_code_version":` + quoted(hash) + `,"geni_urn":` + quoted(c.urn("authority+cm")) +
		`,"geni_am_type":"protogeni","geni_single_allocation":true,"geni_allocate":"geni_disjoint","geni_api_versions":{` +
		api("1") + "," + api("2") + "," + api("3") +
		`},"geni_credential_types":[{"geni_type":"geni_sfa","geni_version":"2"},{"geni_type":"geni_sfa","geni_version":"3"}]}`
}

func (c *call) urn(what string) string { return "urn:publicid:IDN+" + c.site.Domain + "+" + what }

// sliverStatus is the status as version 2 of the aggregate's API gives it.
func (c *call) sliverStatus(slice testbed.Row) (string, bool) {
	agg := c.db.First("geni-cm.geni_aggregates", "slice_uuid", slice.Text("uuid"))
	if slice.IsZero() || agg.IsZero() {
		return "", false
	}
	var list []string
	for s := range c.db.Where("geni-cm.geni_slivers", "slice_uuid", slice.Text("uuid")) {
		list = append(list, `{"geni_urn":`+quoted(c.urn("sliver+"+s.Text("idx")))+`,"geni_status":`+quoted(s.Text("status"))+
			`,"geni_error":`+quoted(s.Text("errorlog"))+`}`)
	}
	return `{"geni_urn":` + quoted(c.urn("sliver+"+agg.Text("idx"))) + `,"geni_status":` + quoted(agg.Text("status")) +
		`,"geni_resources":[` + strings.Join(list, ",") + "]}", true
}

// sliceStatus is the status as version 3 gives it. The original leaves out a
// quote before geni_slivers.
func (c *call) sliceStatus(slice testbed.Row) (string, bool) {
	if slice.IsZero() {
		return "", false
	}
	cert := c.db.First("geni-cm.geni_certificates", "uuid", slice.Text("uuid"))
	var list []string
	for s := range c.db.Where("geni-cm.geni_slivers", "slice_uuid", slice.Text("uuid")) {
		list = append(list, `{"geni_urn":`+quoted(c.urn("sliver+"+s.Text("idx")))+`,"geni_expires":`+quoted(slice.Text("expires"))+
			`,"geni_allocation_status":"geni_provisioned","geni_operational_status":`+quoted(operational(s.Text("status")))+
			`,"geni_error":`+quoted(s.Text("errorlog"))+`}`)
	}
	return `{"geni_urn":` + quoted(cert.Text("urn")) + `,"geni_slivers":[` + strings.Join(list, ",") + "]}", true
}

func operational(status string) string {
	switch status {
	case "ready":
		return "geni_ready"
	case "failed":
		return "geni_failed"
	case "changing":
		return "geni_configuring"
	}
	return "geni_notready"
}

// geniAll is everything there is about the node, as one object.
func (c *call) geniAll() string {
	raw := map[string]bool{"geni_user": true, "getversion": true, "sliverstatus": true, "status": true}
	var parts []string
	for _, what := range []string{"client_id", "control_mac", "geni_user", "getversion", "manifest", "slice_email", "slice_urn",
		"sliverstatus", "status", "user_email", "user_urn"} {
		v, ok := c.geniGet(what)
		if !ok {
			continue
		}
		if !raw[what] {
			v = quoted(v)
		}
		parts = append(parts, quoted(what)+":"+v)
	}
	parts = append(parts, `"version":"1"`)
	for _, what := range []string{"certificate", "key"} {
		v, _ := c.geniGet(what)
		parts = append(parts, quoted(what)+":"+quoted(v))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// geniParam is the value of a profile's parameter.
func (c *call) geniParam() {
	name := firstWord(c.args)
	if !onlyOf(name, "_") {
		c.out = append(c.out, geniBadParam...)
		return
	}
	for p := range c.db.Where("virt_profile_parameters", "exptidx", c.who.exptidx) {
		if p.Is("name", name) && name != "" {
			c.geniValue(p.Text("value"), true)
			return
		}
	}
	c.out = append(c.out, geniNoParam...)
}
