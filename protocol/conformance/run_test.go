package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"emujail/protocol/conformance"
)

// listen serves each TCP connection by f until the test's end.
func listen(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// A server that is none passes no row, and every row ends in its time.
func TestNoServer(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
	}{
		{"closes at once", func(c net.Conn) { c.Close() }},
		{"resets", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }},
		{"says nothing and stays", func(c net.Conn) { <-never; c.Close() }},
		{"echoes", func(c net.Conn) { _, _ = io.Copy(c, c); c.Close() }},
		{"speaks another protocol", func(c net.Conn) { _, _ = io.WriteString(c, "220 ready\r\n"); c.Close() }},
		{"says the same to all", func(c net.Conn) { _, _ = io.Copy(io.Discard, c); _, _ = io.WriteString(c, "220 ready\r\n"); c.Close() }},
		{"never stops", func(c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					c.Close()
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := conformance.Target{Addr: listen(t, c.serve), Node: "pc1", VNode: "v1", Sibling: "v2", Foreign: "w1",
				Remote: netip.MustParseAddr("127.0.0.2"), Free: netip.MustParseAddr("127.0.0.3"), Stranger: netip.MustParseAddr("127.0.0.4"),
				PrivKey: "0123456789abcdef"}
			o := conformance.Options{Write: true, Strict: true, Timeout: 150 * time.Millisecond, Jobs: 16}
			var passed []string
			results := 0
			begun := time.Now()
			sum := conformance.Run(context.Background(), target, o, func(r conformance.Result) {
				results++
				if r.Outcome == conformance.Passed {
					passed = append(passed, r.Row.ID)
				}
				if r.Took > 5*time.Second {
					t.Errorf("%s took %v", r.Row.ID, r.Took)
				}
			})
			if len(passed) > 0 {
				t.Errorf("passed %v", passed)
			}
			if sum.Passed+sum.Failed+sum.NotRun != results || results != len(conformance.Rows()) {
				t.Errorf("%v of %d rows", sum, results)
			}
			if took := time.Since(begun); took > 90*time.Second {
				t.Errorf("the run took %v", took)
			}
		})
	}
}

// What isn't told is missing, not failed: and each row says what.
func TestNothingTold(t *testing.T) {
	addr := listen(t, func(c net.Conn) { c.Close() })
	for _, r := range conformance.Rows() {
		if r.Needs() == 0 {
			continue
		}
		o := conformance.Options{Strict: true, Only: []string{r.ID}, Timeout: time.Second}
		sum := conformance.Run(context.Background(), conformance.Target{Addr: addr}, o, func(got conformance.Result) {
			if got.Outcome != conformance.NotRun || !strings.HasPrefix(got.Why, "needs ") {
				t.Errorf("%v", got)
			}
		})
		if sum.NotRun != 1 {
			t.Errorf("%s: %v", r.ID, sum)
		}
	}
}

// A run whose context ends is over at once, and passes nothing more.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	begun := time.Now()
	sum := conformance.Run(ctx, conformance.Target{Addr: listen(t, func(net.Conn) {})}, conformance.Options{}, func(conformance.Result) {})
	if sum.Passed > 0 || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %v", sum, time.Since(begun))
	}
}

// Results as text, JSON and JUnit: what a server said can't break them.
func TestReports(t *testing.T) {
	row := conformance.Rows()[0]
	results := []conformance.Result{
		{Row: row, Outcome: conformance.Passed, Took: 1500 * time.Millisecond},
		{Row: row, Outcome: conformance.Failed, Why: "said \x1b[2J\u009b2J<b>&\x00\nmore", Took: time.Second},
		{Row: row, Outcome: conformance.NotRun, Why: "needs vnode"},
	}
	if got, want := results[1].String(), "FAIL  1/1    "+row.Rule+"\n             said ?[2J?2J<b>&?\n             more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var b bytes.Buffer
	if err := conformance.WriteJSON(&b, "127.0.0.1:7777", results); err != nil {
		t.Fatal(err)
	}
	var said struct {
		Passed, Failed int
		NotRun         int `json:"not_run"`
		Rows           []struct {
			ID, Outcome string
			Seconds     float64
		}
	}
	if err := json.Unmarshal(b.Bytes(), &said); err != nil || said.Passed != 1 || said.Failed != 1 || said.NotRun != 1 ||
		len(said.Rows) != 3 || said.Rows[0].ID != "1/1" || said.Rows[0].Seconds != 1.5 || said.Rows[2].Outcome != "not run" {
		t.Errorf("%v: %+v", err, said)
	}
	b.Reset()
	if err := conformance.WriteJUnit(&b, "127.0.0.1:7777", results); err != nil {
		t.Fatal(err)
	}
	type why struct {
		Message string `xml:"message,attr"`
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Failure *why `xml:"failure"`
			Skipped *why `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(b.Bytes(), &suite); err != nil {
		t.Error(err)
	}
	if suite.Tests != 3 || suite.Failures != 1 || suite.Skipped != 1 || len(suite.Cases) != 3 ||
		suite.Cases[1].Failure == nil || suite.Cases[2].Skipped == nil {
		t.Errorf("%+v in %s", suite, b.Bytes())
	}
	if got := suite.Cases[1].Failure.Message; got != "said ?[2J?2J<b>&?\nmore" {
		t.Errorf("the reason is %q", got)
	}
}
