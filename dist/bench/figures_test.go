package main

import "testing"

// T32 of docs/spec/peers.md: what the proxy adds is published, the median and the
// 99th percentile against a direct connection; and so is all else that is
// promised of it, with the limits that are promised.
func TestT32ProxyFiguresArePublished(t *testing.T) {
	type limit struct {
		value float64
		least bool
	}
	published := map[string]limit{}
	for _, f := range figures() {
		published[f.name] = limit{f.limit, f.least}
	}
	for name, want := range map[string]limit{
		"proxy_added": {0.15, false}, "proxy_p99": {3, false}, "proxy_rps": {0.5, true}, "tls_resume": {2, true},
		"proxy_idle_kib": {12, false}, "flood_p50": {2, false}, "flood_p99": {2, false},
	} {
		if published[name] != want {
			t.Errorf("%s: limit %+v, promised is %+v", name, published[name], want)
		}
	}
}
