package shape

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"emujail/protocol"
)

const (
	linkDelay = "LINKDELAY IFACE=020a01010201 TYPE=duplex LINKNAME=lan0 VNODE=node-a INET=10.1.1.2 MASK=255.255.255.0 PIPE=100 DELAY=10.00 BW=1000 PLR=0.01000000 RPIPE=110 RDELAY=5.00 RBW=2000 RPLR=0.00000000 RED=0 LIMIT=0 MAXTHRESH=0 MINTHRESH=0 WEIGHT=0 LINTERM=0 QINBYTES=0 BYTES=0 MEANPSIZE=0 WAIT=0 SETBIT=0 DROPTAIL=0 GENTLE=0\n"
	delayNode = "DELAY INT0=00d0b713f802 INT1=00d0b713f803 PIPE0=100 DELAY0=10.00 BW0=1000 PLR0=0.05000000 PIPE1=110 DELAY1=20.00 BW1=2000 PLR1=0.00000000 LINKNAME=plink RED0=0 RED1=1 LIMIT0=50 MAXTHRESH0=15 MINTHRESH0=5 WEIGHT0=0.002 LINTERM0=10 QINBYTES0=0 BYTES0=0 MEANPSIZE0=500 WAIT0=1 SETBIT0=0 DROPTAIL0=1 GENTLE0=0 LIMIT1=60 MAXTHRESH1=30 MINTHRESH1=10 WEIGHT1=0.004 LINTERM1=20 QINBYTES1=0 BYTES1=0 MEANPSIZE1=500 WAIT1=1 SETBIT1=0 DROPTAIL1=1 GENTLE1=1 VNODE0=phys0 VNODE1=phys1 NOSHAPING=0 BACKFILL0=100 BACKFILL1=0\n"
)

func TestFromTmcd(t *testing.T) {
	replace := func(s string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(s) }
	const own, other = "02:0a:01:01:02:01", "00d0b713f802"
	tests := []struct {
		name        string
		own         string
		link, delay string
		out, in     string // empty: nothing is wanted
		err         string
	}{
		{"as recorded", own, linkDelay, "", "rate=1Mb delay=10ms loss=0.01 queue=50", "rate=2Mb delay=5ms queue=50", ""},
		{"one way", own, replace(linkDelay, "duplex", "simplex"), "", "rate=1Mb delay=10ms loss=0.01 queue=50", "none", ""},
		{"queue in bytes", own, replace(linkDelay, "LIMIT=0", "LIMIT=20000", "QINBYTES=0", "QINBYTES=1"), "", "rate=1Mb delay=10ms loss=0.01 queue=20000B", "rate=2Mb delay=5ms queue=20000B", ""},
		{"RED by default values", own, replace(linkDelay, "RED=0", "RED=1"), "", "rate=1Mb delay=10ms loss=0.01 queue=50 red=on minthresh=5 maxthresh=15 weight=0.002 linterm=10", "rate=2Mb delay=5ms queue=50 red=on minthresh=5 maxthresh=15 weight=0.002 linterm=10", ""},
		{"a delay node's side 0", other, "", delayNode, "rate=900kb delay=10ms loss=0.05 queue=50", "rate=2Mb delay=20ms queue=60 red=on minthresh=10 maxthresh=30 weight=0.004 linterm=20 gentle=on", ""},
		{"its side 1", "00d0b713f803", "", delayNode, "rate=2Mb delay=20ms queue=60 red=on minthresh=10 maxthresh=30 weight=0.004 linterm=20 gentle=on", "rate=900kb delay=10ms loss=0.05 queue=50", ""},
		{"not to be shaped", other, "", replace(delayNode, "NOSHAPING=0", "NOSHAPING=1"), "", "", ""},
		{"twice", own, linkDelay + linkDelay, "", "", "", "link lan0: its interface 020a01010201 is shaped twice"},
		{"of another node", other, linkDelay, "", "", "", "link lan0: interface 020a01010201 is none of this node's"},
		{"delay of another node", own, "", delayNode, "", "", "link plink: interfaces 00d0b713f802 and 00d0b713f803 are none of this node's"},
		{"being a delay node", "00d0b713f802 00d0b713f803", "", delayNode, "", "", "a jail as delay node between 00d0b713f802 and 00d0b713f803 is not provided"},
		{"type", own, replace(linkDelay, "duplex", "ring"), "", "", "", `type "ring": want simplex or duplex`},
		{"too late", own, replace(linkDelay, "DELAY=10.00", "DELAY=99999.00"), "", "", "", "link lan0: delay 99999: want 0 to 10000 ms"},
		{"loses too much", own, replace(linkDelay, "RPLR=0.0", "RPLR=3.0"), "", "", "", "link lan0, way back: loss 3"},
		{"nothing but backfill", other, "", replace(delayNode, "BACKFILL0=100", "BACKFILL0=1000"), "", "", "backfill of 1000 kbit/s leaves nothing of 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links, err := protocol.ParseLinkDelays([]byte(tt.link))
			if err != nil {
				t.Fatal(err)
			}
			delays, err := protocol.ParseDelays([]byte(tt.delay))
			if err != nil {
				t.Fatal(err)
			}
			got, err := FromTmcd(strings.Fields(tt.own), links, delays)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.out == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || got[0].Both.Out.String() != tt.out || got[0].Both.In.String() != tt.in {
				t.Errorf("got %+v\nwant out %q\n     in  %q", got, tt.out, tt.in)
			}
		})
	}
}

// TestRecorded: every linkdelay and delay that was recorded can be done.
func TestRecorded(t *testing.T) {
	f, err := os.Open("../../testdata/vectors/tmcd.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	seen := 0
	for sc.Scan() {
		var r struct{ ID, Reply string }
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(r.Reply) {
			var err error
			switch {
			case strings.HasPrefix(line, "LINKDELAY "):
				var l protocol.LinkDelays
				if l, err = protocol.ParseLinkDelays([]byte(line)); err == nil {
					_, err = FromTmcd([]string{l[0].IFace}, l, nil)
				}
			case strings.HasPrefix(line, "DELAY INT0"):
				var d protocol.Delays
				if d, err = protocol.ParseDelays([]byte(line)); err == nil {
					_, err = FromTmcd([]string{d[0].INT0}, nil, d)
				}
			default:
				continue
			}
			seen++
			if err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
		}
	}
	if err := sc.Err(); err != nil || seen < 39 {
		t.Errorf("%d records, want at least 39: %v", seen, err)
	}
}
