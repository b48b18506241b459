package answer_test

import (
	"encoding/pem"
	"net/netip"
	"testing"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// tpmBed is pc1 with the certificate of a TPM, and what it loads.
func tpmBed(t *testing.T, rows ...row) *testbed.Testbed {
	t.Helper()
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("tpm")}))
	tb := pairBed(t, append(rows, row{"node_hostkeys", testbed.Columns{"node_id": "pc1", "tpmx509": "text before\n" + cert}})...)
	return changed(tb, "nodes", "node_id", "pc1", testbed.Columns{"op_mode": "SECURELOAD", "eventstate": "RELOADSETUP"})
}

// withCert asks over TLS with a client certificate.
func withCert(t *testing.T, tb *testbed.Testbed, cert, request string) string {
	t.Helper()
	req, err := protocol.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer.Answer(tb, answer.Query{Source: netip.MustParseAddr("10.0.0.1"), Transport: answer.TLS, Request: req, Peer: []byte(cert)}).Reply)
}

// TestTPMCertificate: some commands want the very certificate of the node's TPM.
func TestTPMCertificate(t *testing.T) {
	const dummy = "You'd better be using the TPM, you twicky wabbit!\n"
	tb := tpmBed(t)
	for _, tc := range []struct{ cert, request, want string }{
		{"tpm", "VERSION=40 tpmdummy ", dummy},
		{"other", "VERSION=40 tpmdummy ", ""},
		{"", "VERSION=40 tpmdummy ", ""},
		{"tpm", "VERSION=40 VNODEID=pcvm1-1 tpmdummy ", ""},
	} {
		if got := withCert(t, tb, tc.cert, tc.request); got != tc.want {
			t.Errorf("%s with certificate %q: %q, want %q", tc.request, tc.cert, got, tc.want)
		}
	}
	if got := withCert(t, pairBed(t), "", "VERSION=40 tpmdummy "); got != "" {
		t.Errorf("without a certificate on either side: %q", got)
	}
	says(t, tb, "VERSION=40 tpmdummy ", "")
}

// TestImageKey: the keys of the images that the node is to load, while it does.
func TestImageKey(t *testing.T) {
	load := func(idx, image int) row {
		return row{"current_reloads", testbed.Columns{"node_id": "pc1", "idx": int64(idx), "image_id": int64(image), "imageid_version": int64(1)}}
	}
	image := func(id int, name string) row {
		return row{"images", testbed.Columns{"imageid": int64(id), "version": int64(2), "imagename": name, "pid_idx": int64(3), "gid_idx": int64(4)}}
	}
	version := func(id, version int, more testbed.Columns) row {
		more["imageid"], more["version"] = int64(id), int64(version)
		return row{"image_versions", more}
	}
	rows := []row{{"projects", testbed.Columns{"pid": "p", "pid_idx": int64(3)}}, {"groups", testbed.Columns{"gid": "g", "gid_idx": int64(4)}},
		load(1, 11), image(10, "ten"), image(11, "eleven"), version(10, 1, testbed.Columns{"auth_uuid": "old"}),
		version(10, 2, testbed.Columns{"auth_uuid": "u", "auth_key": "k", "decryption_key": "d"})}
	two := append(rows, load(0, 10))
	const ten, eleven = "IMAGEID=p,g,ten UUID=u SIGKEY=k ENCKEY=d\n", "IMAGEID=p,g,eleven\n"
	state := func(mode, state any) *testbed.Testbed {
		return changed(tpmBed(t, two...), "nodes", "node_id", "pc1", testbed.Columns{"op_mode": mode, "eventstate": state})
	}
	for _, tc := range []struct {
		name, request, want string
		tb                  *testbed.Testbed
	}{
		{"two images", "VERSION=33 imagekey ", ten + eleven, tpmBed(t, two...)},
		{"two for an old client", "VERSION=32 imagekey ", "", tpmBed(t, two...)},
		{"one", "VERSION=40 imagekey ", eleven, tpmBed(t, rows...)},
		{"one for an old client", "VERSION=32 imagekey ", "UUID=u\nSIGKEY=k\nENCKEY=d\n", tpmBed(t, append(rows[3:], load(0, 10))...)},
		{"none", "VERSION=40 imagekey ", "", tpmBed(t)},
		{"without a name", "VERSION=40 imagekey ", "", tpmBed(t, append(two, load(2, 12))...)},
		{"in another mode", "VERSION=40 imagekey ", "", state("NORMALv2", "RELOADSETUP")},
		{"in another state", "VERSION=40 imagekey ", "", state("SECURELOAD", "ISUP")},
		{"in no known state", "VERSION=40 imagekey ", ten + eleven, state(nil, "RELOAD")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := withCert(t, tc.tb, "tpm", tc.request); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
