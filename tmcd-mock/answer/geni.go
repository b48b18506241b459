package answer

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
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

// slivers are the asker's: usually one.
func (c *call) slivers() iter.Seq[testbed.Row] {
	return c.db.Where("geni-cm.geni_slivers", "resource_uuid", c.who.node.Text("uuid"))
}

// ofSlice is the first row of a table that belongs to the slice of one of the
// asker's slivers.
func (c *call) ofSlice(table, column string) testbed.Row {
	for s := range c.slivers() {
		if r := c.db.First("geni-cm."+table, column, s.Text("slice_uuid")); s.Has("slice_uuid") && !r.IsZero() {
			return r
		}
	}
	return testbed.Row{}
}

// geniGet is one piece of what is known about a node and its slice; false if
// it has none and that is an error.
func (c *call) geniGet(what string) (string, bool) {
	switch what {
	case "client_id":
		if !c.who.allocated() {
			return "", true
		}
		return c.who.nickname, true
	case "control_mac":
		return control(c.db, c.who.id).Text("mac"), true
	case "slice_urn":
		cert := c.ofSlice("geni_certificates", "uuid")
		return cert.Text("urn"), !cert.IsZero()
	case "slice_email":
		cert := c.ofSlice("geni_certificates", "uuid")
		address, ok := emailOf(cert)
		return address, ok || cert.IsZero()
	case "user_urn":
		slice := c.ofSlice("geni_slices", "uuid")
		return slice.Text("creator_urn"), !slice.IsZero()
	case "user_email":
		return emailOf(c.creatorCert())
	case "geni_user":
		return c.geniUsers()
	case "manifest":
		return c.ofSlice("geni_manifests", "slice_uuid").Text("manifest"), true
	case "certificate":
		return c.ofSlice("geni_slicecerts", "uuid").Text("cert"), true
	case "key":
		return c.ofSlice("geni_slicecerts", "uuid").Text("privkey"), true
	case "getversion":
		return c.geniVersion(), true
	case "sliverstatus":
		return c.sliverStatus()
	case "status":
		return c.sliceStatus()
	}
	return "", false
}

// creatorCert is the certificate of the slice's creator: of users of this
// testbed the one in use, of others what came with them.
func (c *call) creatorCert() testbed.Row {
	slice := c.ofSlice("geni_slices", "uuid")
	if slice.IsZero() {
		return testbed.Row{}
	}
	urn, here := slice.Text("creator_urn"), c.urn("")
	if len(urn) < len(here) || !strings.EqualFold(urn[:len(here)], here) {
		return c.db.First("geni-cm.geni_certificates", "urn", urn)
	}
	uid, ok := strings.CutPrefix(urn[len(here):], "user+")
	if !ok {
		return testbed.Row{}
	}
	for cert := range c.where("user_sslcerts", "uid", uid, "encrypted", "1") {
		if cert.Value("revoked") == nil {
			return cert
		}
	}
	return testbed.Row{}
}

// emailOf is the address at the end of a certificate's name.
func emailOf(cert testbed.Row) (string, bool) {
	_, address, ok := strings.Cut(cert.Text("DN"), "/emailAddress=")
	return address, ok
}

// quoted is a string in JSON.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// escaped is a string in quotes, of which only the quotes in it are escaped.
func escaped(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// geniUsers lists the keys of the slice's users by their URN. A user begins
// with the key number 1; who has no key is left out.
func (c *call) geniUsers() (string, bool) {
	var keys []userKey
	for u := range c.db.Where("nonlocal_user_accounts", "exptidx", cmp.Or(c.who.exptidx, "0")) {
		for k := range c.db.Where("nonlocal_user_pubkeys", "uid_idx", u.Text("uid_idx")) {
			keys = append(keys, userKey{u.Text("urn"), k.Int("idx"), k.Text("pubkey")})
		}
	}
	slices.SortStableFunc(keys, func(a, b userKey) int {
		return cmp.Or(collate(a.urn, b.urn), cmp.Compare(a.idx, b.idx))
	})
	var b strings.Builder
	b.WriteByte('[')
	for i, k := range keys {
		switch {
		case k.idx != 1:
			b.WriteByte(',')
		case i > 0:
			b.WriteString("]},")
			fallthrough
		default:
			b.WriteString(`{"urn":` + escaped(k.urn) + `,"keys":[`)
		}
		b.WriteString(escaped(k.key))
	}
	b.WriteString("]}]")
	return b.String(), len(keys) > 0
}

type userKey struct {
	urn string
	idx int
	key string
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

// aggregate are the slivers that were made together with the asker's.
func (c *call) aggregate() []testbed.Row {
	var all []testbed.Row
	for mine := range c.slivers() {
		if mine.Value("aggregate_uuid") != nil {
			all = slices.AppendSeq(all, c.db.Where("geni-cm.geni_slivers", "aggregate_uuid", mine.Text("aggregate_uuid")))
		}
	}
	return all
}

// sliverStatus is the status as version 2 of the aggregate's API gives it.
func (c *call) sliverStatus() (string, bool) {
	agg := testbed.Row{}
	for s := range c.slivers() {
		if s.Value("aggregate_uuid") != nil && agg.IsZero() {
			agg = c.db.First("geni-cm.geni_aggregates", "uuid", s.Text("aggregate_uuid"))
		}
	}
	if agg.IsZero() {
		return "", false
	}
	status := agg.Text("status")
	if status != "ready" && status != "failed" {
		status = "unknown"
	}
	var list []string
	for _, s := range c.aggregate() {
		list = append(list, `{"geni_urn":"`+c.urn("sliver+"+s.Text("idx"))+`","geni_status":"`+s.Text("status")+
			`","geni_error":"`+s.Text("errorlog")+`"}`)
	}
	return `{"geni_urn":"` + c.urn("sliver+"+agg.Text("idx")) + `","geni_status":"` + status +
		`","geni_resources":[` + strings.Join(list, ",") + "]}", true
}

// sliceStatus is the status as version 3 gives it. The original leaves out a
// quote before geni_slivers.
func (c *call) sliceStatus() (string, bool) {
	cert, slice := c.ofSlice("geni_certificates", "uuid"), c.ofSlice("geni_slices", "uuid")
	slivers := c.aggregate()
	if cert.IsZero() || slice.IsZero() || len(slivers) == 0 {
		return "", false
	}
	var list []string
	for _, s := range slivers {
		list = append(list, `{"geni_urn":"`+c.urn("sliver+"+s.Text("idx"))+`","geni_expires":"`+slice.Text("expires")+
			`","geni_allocation_status":"geni_provisioned","geni_operational_status":"geni_`+s.Text("status")+
			`","geni_error":"`+s.Text("errorlog")+`"}`)
	}
	return `{"geni_urn":"` + cert.Text("urn") + `","geni_slivers":[` + strings.Join(list, ",") + "]}", true
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

// geniParam is the value of a profile's parameter: what comes before the first
// blank is its name.
func (c *call) geniParam() {
	name := c.args
	if end := strings.IndexAny(name, blanks); end >= 0 {
		name = name[:end]
	}
	if !onlyOf(name, "_-") {
		c.out = append(c.out, geniBadParam...)
		return
	}
	p := first(c.where("virt_profile_parameters", "exptidx", cmp.Or(c.who.exptidx, "0"), "name", name))
	if p.IsZero() {
		c.out = append(c.out, geniNoParam...)
		return
	}
	c.geniValue(p.Text("value"), true)
}
