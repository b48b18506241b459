package answer_test

import (
	"strings"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// TestBattery: both keys, in this order; blanks between them may lack.
func TestBattery(t *testing.T) {
	for args, want := range map[string]string{
		"CAPACITY=50 VOLTAGE=12.5": "OK\n", "CAPACITY=50VOLTAGE=12.5x": "OK\n", "CAPACITY= 1e2 \n VOLTAGE= 5": "OK\n",
		"50 12.5": "", "CAPACITY=50x VOLTAGE=12": "", "VOLTAGE=12 CAPACITY=50": "", " CAPACITY=50 VOLTAGE=12": "",
		"CAPACITY=nan VOLTAGE=12": "", "CAPACITY=50 voltage=12": "", "CAPACITY=50": "", "CAPACITY=100.5 VOLTAGE=12": "",
	} {
		visit{"battery", "", "VERSION=40 battery " + args + " ", want, ""}.check(t, recordedBed(t))
	}
}

// TestPortRegisterArguments: without a number it is a question; a free node has
// services of its own; quotes are no matter, length is.
func TestPortRegisterArguments(t *testing.T) {
	tb := recordedBed(t)
	long := strings.Repeat("s", 65)
	for _, v := range []visit{
		{"register", "", "VERSION=40 portregister svc 12x ", "", ""},
		{"a question", "", "VERSION=40 portregister SVC abc ", "PORT=12 NODEID=pc1.example.emulab.net\n", ""},
		{"another experiment", "127.0.0.4", "VERSION=40 portregister svc ", "", ""},
		{"more than 32 bits", "", "VERSION=40 portregister wide 4294967303 ", "", ""},
		{"keep the lower ones", "", "VERSION=40 portregister wide ", "PORT=7 NODEID=pc1.example.emulab.net\n", ""},
		{"in other letters", "", "VNODEID=PCVM1-1 VERSION=40 portregister up 6 ", "", ""},
		{"as it was sent", "", "VERSION=40 portregister up ", "PORT=6 NODEID=PCVM1-1.example.emulab.net\n", ""},
		{"below 0", "", "VERSION=40 portregister low -5 ", "", ""},
		{"is 0", "", "VERSION=40 portregister low ", "PORT=0 NODEID=pc1.example.emulab.net\n", ""},
		{"quotes", "", "VERSION=40 portregister a'\"b 7 ", "", ""},
		{"found again", "", "VERSION=40 portregister a'\"b ", "PORT=7 NODEID=pc1.example.emulab.net\n", ""},
		{"longer than the column", "", "VERSION=40 portregister " + long + " 8 ", "", ""},
		{"found by what was kept", "", "VERSION=40 portregister " + long[1:] + " ", "PORT=8 NODEID=pc1.example.emulab.net\n", ""},
		{"not by what was given", "", "VERSION=40 portregister " + long + " ", "", ""},
		{"too long", "", "VERSION=40 portregister " + strings.Repeat("'", 64) + " 9 ", "", ""},
		{"nor kept", "", "VERSION=40 portregister " + strings.Repeat("'", 64) + " ", "", ""},
		{"free", "127.0.0.2", "VERSION=40 portregister svc 3 ", "", ""},
		{"free, found", "127.0.0.2", "VERSION=40 portregister svc ", "PORT=3 NODEID=pc2.example.emulab.net\n", ""},
		{"gone by 0x0", "", "VERSION=40 portregister svc 0x1f ", "", ""},
		{"gone", "", "VERSION=40 portregister svc ", "", ""},
		{"the free one is still there", "127.0.0.2", "VERSION=40 portregister svc ", "PORT=3 NODEID=pc2.example.emulab.net\n", ""},
	} {
		v.check(t, tb)
	}
}

// TestTipLineInfo: what is told replaces what was known, with nothing where
// nothing is said; keys are read in any case.
func TestTipLineInfo(t *testing.T) {
	const ask1 = "VNODEID=pcvm1-1 VERSION=40 tiptunnels "
	const ask2 = "VNODEID=pcvm1-2 VERSION=40 tiplineinfo "
	for _, tc := range []struct{ name, args, want string }{
		{"all", "HOST:pc9\n  Port: 7\nkeylen:\t2\nkey:ab", "VNODE=node-b SERVER=pc9 PORT=7 KEYLEN=2 KEY=ab\n"},
		{"some", "host: pc9\n", "VNODE=node-b SERVER=pc9 PORT=0 KEYLEN=0 KEY=\n"},
		{"nothing", "", "VNODE=node-b SERVER= PORT=0 KEYLEN=0 KEY=\n"},
		{"a port with letters", "port: 7x\nhost: h\n", "VNODE=node-b SERVER=h PORT=7 KEYLEN=0 KEY=\n"},
		{"more than the columns hold", "host: " + strings.Repeat("h", 70) + "\nport: 3000000000\nkeylen: -40000\n",
			"VNODE=node-b SERVER=" + strings.Repeat("h", 64) + " PORT=2147483647 KEYLEN=-32768 KEY=\n"},
		{"a blank at the end", "host: pc9 \n", "VNODE=node-b SERVER=pc1.example.emulab.net PORT=4501 KEYLEN=8 KEY=deadbeef\n"},
		{"an empty line", "host: pc9\n\nport: 7\n", "VNODE=node-b SERVER=pc1.example.emulab.net PORT=4501 KEYLEN=8 KEY=deadbeef\n"},
		{"too long", "host: " + strings.Repeat("h", 129), "VNODE=node-b SERVER=pc1.example.emulab.net PORT=4501 KEYLEN=8 KEY=deadbeef\n"},
	} {
		tb := recordedBed(t)
		ask(t, tb, "127.0.0.1", answer.TCP, ask2+tc.args)
		visit{tc.name, "", ask1, tc.want, ""}.check(t, tb)
		n := 0
		tb.Read(func(db *testbed.DB) { n = db.Len("tiplines") })
		if n != 1 {
			t.Errorf("%s: %d lines", tc.name, n)
		}
	}
}

// TestPortRegister: a service is registered, found, moved and gone.
func TestPortRegister(t *testing.T) {
	tb := recordedBed(t)
	for _, step := range []struct{ args, want string }{
		{"svc", ""},
		{"svc 1", ""}, {"svc", "PORT=1 NODEID=pcvm1-1.example.emulab.net\n"},
		{"svc 2", ""}, {"svc", "PORT=2 NODEID=pcvm1-1.example.emulab.net\n"},
		{"svc 0", ""}, {"svc", ""},
		{"it's 5", ""}, {"it's", "PORT=5 NODEID=pcvm1-1.example.emulab.net\n"},
	} {
		if got := string(ask(t, tb, "127.0.0.1", answer.TCP, "VNODEID=pcvm1-1 VERSION=40 portregister "+step.args+" ").Reply); got != step.want {
			t.Errorf("portregister %s: %q, want %q", step.args, got, step.want)
		}
	}
}
