package answer_test

import (
	"testing"

	"emujail/tmcd-mock/testbed"
)

// geniBed is the recorded testbed with a second sliver, pcvm1-2's, in an
// aggregate of its own.
func geniBed(t *testing.T, more ...any) *testbed.Testbed {
	t.Helper()
	return with(t, append([]any{"geni-cm.geni_slivers", []columns{
		{"idx": int64(902), "slice_uuid": "slice2", "resource_uuid": "pcvm1-2-uuid-0000-0000-000000000000", "aggregate_uuid": "agg2", "status": "changing", "errorlog": `a "b"`}}}, more...)...)
}

// TestGeniSlice: what the slice's rows say, each of them by itself.
func TestGeniSlice(t *testing.T) {
	const ours = "urn:publicid:IDN+example.emulab.net+"
	tb := geniBed(t,
		"geni-cm.geni_certificates", []columns{{"uuid": "slice2", "DN": "/O=x/emailAddress=s@x.net/OU=y", "urn": "urn:s2"}, {"uuid": "x", "DN": "/emailAddress=x", "urn": ""}},
		"geni-cm.geni_slicecerts", []columns{{"uuid": "slice2", "cert": "C2", "privkey": "K2"}},
		"geni-cm.geni_manifests", []columns{{"slice_uuid": "slice2", "manifest": "<a b=\"c\">\n</a>"}},
		"geni-cm.geni_aggregates", []columns{{"idx": int64(78), "uuid": "agg2", "slice_uuid": "slice1", "status": "mixed"}})
	get := func(what, want string) {
		t.Helper()
		visit{"without a slice", "", "VNODEID=pcvm1-2 VERSION=40 geni_" + what + " ", want, ""}.check(t, tb)
	}
	const failed = "\x00\x00internal error handling request\n"
	get("slice_urn", "\x00urn:s2\n")
	get("slice_email", "\x00s@x.net/OU=y\n")
	get("certificate", "\x00C2\n")
	get("key", "\x00K2\n")
	get("manifest", "\x00<a b=\"c\">\n</a>\n")
	get("user_urn", failed)
	get("user_email", failed)
	get("status", failed)
	get("sliverstatus", "\x00{\"geni_urn\":\""+ours+"sliver+78\",\"geni_status\":\"unknown\",\"geni_resources\":[{\"geni_urn\":\""+
		ours+"sliver+902\",\"geni_status\":\"changing\",\"geni_error\":\"a \"b\"\"}]}\n")
	alter(tb, "geni-cm.geni_certificates", "uuid", "slice2", columns{"DN": "emailAddress=s@x.net"})
	get("slice_email", failed)
}

// TestGeniCreator: a user of this testbed has a certificate among its own.
func TestGeniCreator(t *testing.T) {
	tb := geniBed(t, "geni-cm.geni_slices", []columns{{"uuid": "slice2", "creator_urn": "URN:publicid:IDN+example.emulab.net+user+bob"}},
		"user_sslcerts", []columns{{"uid": "bob", "encrypted": int64(0), "DN": "/emailAddress=no"}, {"uid": "bob", "encrypted": int64(1), "revoked": "2016-01-01 00:00:00", "DN": "/emailAddress=old"},
			{"uid": "bob", "encrypted": int64(1), "DN": "/emailAddress=bob@here"}})
	get := func(want string) {
		t.Helper()
		visit{"creator", "", "VNODEID=pcvm1-2 VERSION=40 geni_user_email ", want, ""}.check(t, tb)
	}
	get("\x00bob@here\n")
	alter(tb, "geni-cm.geni_slices", "uuid", "slice2", columns{"creator_urn": "urn:publicid:IDN+example.emulab.net+USER+bob"})
	get("\x00\x00internal error handling request\n")
	alter(tb, "geni-cm.geni_slices", "uuid", "slice2", columns{"creator_urn": "urn:publicid:IDN+elsewhere+user+bob"})
	get("\x00\x00internal error handling request\n")
}

// TestGeniUsers: by URN, then by key; who has none is left out, and a backslash
// stays one.
func TestGeniUsers(t *testing.T) {
	key := func(user, idx int, text string) columns {
		return columns{"uid_idx": int64(user), "idx": int64(idx), "pubkey": text}
	}
	tb := with(t, "nonlocal_user_accounts", []columns{{"uid_idx": int64(8), "urn": "urn:b", "exptidx": int64(102)}, {"uid_idx": int64(7), "urn": "urn:a", "exptidx": int64(102)},
		{"uid_idx": int64(6), "urn": "urn:0", "exptidx": int64(102)}},
		"nonlocal_user_pubkeys", []columns{key(8, 1, `k\b"1"`), key(7, 10, "ten"), key(7, 2, "two"), key(7, 1, "one")})
	visit{"users", "127.0.0.4", "VERSION=40 geni_geni_user ", "\x00" + `[{"urn":"urn:a","keys":["one","two","ten"]},{"urn":"urn:b","keys":["k\b\"1\""]}]` + "\n", ""}.check(t, tb)
}

// TestGeniParam: the name ends at the first blank, which may be the first
// character, and may have a hyphen in it.
func TestGeniParam(t *testing.T) {
	tb := with(t, "virt_profile_parameters", []columns{{"exptidx": int64(100), "name": "a-b", "value": "v 1"}})
	visit{"a hyphen", "", "VERSION=40 geni_param a-b;\tc", "\x00\x00illegal parameter\n", ""}.check(t, tb)
	visit{"a tab", "", "VERSION=40 geni_param a-b\tc;", "\x00v 1\n", ""}.check(t, tb)
	visit{"a blank first", "", "VERSION=40 geni_param  a-b ", "\x00\x00undefined parameter\n", ""}.check(t, tb)
}
