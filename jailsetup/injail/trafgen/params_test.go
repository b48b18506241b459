package trafgen

import (
	"math"
	"strings"
	"testing"
)

func TestApply(t *testing.T) {
	start := NewParams()
	sticky, err := start.Apply("RATE=1000 PACKETSIZE=500") // 4 ms
	if err != nil {
		t.Fatal(err)
	}
	const ms = 1e6
	for _, row := range []struct {
		name string
		from Params
		args string
		want Params
		err  string
	}{
		{"nothing", start, "", Params{1024, 100 * ms, 0, -1}, ""},
		{"size alone keeps the interval", start, "PACKETSIZE=10", Params{10, 100 * ms, 0, -1}, ""},
		{"rate", start, "RATE=1000 PACKETSIZE=500", Params{500, 4 * ms, 1000, -1}, ""},
		{"rate is sticky", sticky, "PACKETSIZE=1000", Params{1000, 8 * ms, 1000, -1}, ""},
		{"interval ends the rate", sticky, "INTERVAL=0.5", Params{500, 500 * ms, 0, -1}, ""},
		{"interval wins over rate", start, "RATE=1000 INTERVAL=0.5", Params{1024, 500 * ms, 0, -1}, ""},
		{"negative interval leaves the rate", start, "RATE=8 INTERVAL=-1 PACKETSIZE=1000", Params{1000, 1000 * ms, 8, -1}, ""},
		{"negative keeps", sticky, "PACKETSIZE=-1 RATE=-1 INTERVAL=-1 IPTOS=-1", sticky, ""},
		{"flat out", start, "INTERVAL=0", Params{1024, 0, 0, -1}, ""},
		{"hex and octal", start, "PACKETSIZE=0x10 IPTOS=010", Params{16, 100 * ms, 0, 8}, ""},
		{"unknown words", start, "FOO=1 bar PACKETSIZE=7", Params{7, 100 * ms, 0, -1}, ""},
		{"largest", start, "PACKETSIZE=65536", Params{65536, 100 * ms, 0, -1}, ""},
		{"too large", start, "PACKETSIZE=65537", Params{}, "at most 65536"},
		{"no number", start, "PACKETSIZE=big", Params{}, "not a number"},
		{"rate 0", start, "RATE=0", Params{}, "RATE=0"},
		{"a day and more", start, "INTERVAL=86401", Params{}, "at most 86400"},
		{"rate too slow", start, "RATE=0.00000001", Params{}, "at most 86400"},
		{"rate without size", start, "PACKETSIZE=0 RATE=5", Params{}, "0 bytes"},
		{"not a float", start, "INTERVAL=NaN", Params{}, "not a number"},
		{"tos", start, "IPTOS=256", Params{}, "one byte"},
		{"all or nothing", start, "IPTOS=4 RATE=x", Params{}, "not a number"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.from.Apply(row.args)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("error %v, want one with %q", err, row.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got.Interval-row.want.Interval) > 1 {
				t.Errorf("interval %v, want %v", got.Interval, row.want.Interval)
			}
			got.Interval = row.want.Interval
			if got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
}

func FuzzApply(f *testing.F) {
	for _, s := range []string{"", "RATE=1000 PACKETSIZE=500", "INTERVAL=0.1 IPTOS=0x10", "PACKETSIZE=-1", "RATE=1e308", "=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, args string) {
		p, err := NewParams().Apply(args)
		if err != nil {
			return
		}
		if p.Size < 0 || p.Size > MaxSize || p.Interval < 0 || p.Interval > float64(MaxInterval) || p.TOS > 255 {
			t.Errorf("%q gives %+v", args, p)
		}
	})
}
