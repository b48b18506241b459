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
	return alter(tb, "nodes", "node_id", "pc1", testbed.Columns{"op_mode": "SECURELOAD", "eventstate": "RELOADSETUP"})
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
