package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

// TestDrift: what ntpdrift writes is a float, with the digits that such a
// column prints.
func TestDrift(t *testing.T) {
	for drift, want := range map[string]string{
		"12.5": "12.5", "-3": "-3", "12.3456789": "12.3457", "0.00001234": "0.000012", "0.0000001": "0", "-0.25x": "-0.25",
		"123456789": "123457000", "1e14": "100000000000000", "1e20": "1e20", "nan": "0", "inf": "0", "1e99": "0",
	} {
		tb := bedOfRows(t, small)
		ask(t, tb, "10.0.0.1", answer.TCP, "VNODEID=v2 VERSION=40 ntpdrift "+drift+" ")
		if got := string(ask(t, tb, "10.0.0.1", answer.TCP, "VNODEID=v2 VERSION=40 ntpinfo ").Reply); got != "SERVER=ntp1.example.emulab.net\nDRIFT="+want+"\n" {
			t.Errorf("ntpdrift %s: %q, want DRIFT=%s", drift, got, want)
		}
	}
}
