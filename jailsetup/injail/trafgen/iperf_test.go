package trafgen

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"emujail/protocol"
)

// fakeIperf puts a program iperf3 into PATH that notes its arguments and waits,
// and returns the lines that it has noted.
func fakeIperf(tb testing.TB) func() []string {
	tb.Helper()
	dir := tb.TempDir()
	notes := filepath.Join(dir, "notes")
	script := "#!/bin/sh\necho $$ \"$@\" >>" + notes + "\necho it prints\nexec /bin/sleep 100\n"
	if err := os.WriteFile(filepath.Join(dir, iperfProgram), []byte(script), 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() []string {
		text, _ := os.ReadFile(notes)
		whole := strings.Split(string(text), "\n")
		return whole[:len(whole)-1]
	}
}

// TestOtherGenerator: GENERATOR= other than TG is iperf3's, by the same events.
func TestOtherGenerator(t *testing.T) {
	noted := fakeIperf(t)
	recs := records(t, "udp", "cbr0", "null0")
	for i := range recs {
		recs[i].Generator = "iperf"
	}
	sink := strings.Join(iperfArgs(recs[1], NewParams()), " ")
	p := newSet(t, recs...)
	last := func() (pid, args string) {
		lines := noted()
		pid, args, _ = strings.Cut(lines[len(lines)-1], " ")
		return pid, args
	}
	until(t, "the sink's process", func() bool { return len(noted()) == 1 })
	if _, args := last(); args != sink || !strings.Contains(args, "-s -p ") {
		t.Errorf("the sink is iperf3 %s, want %s", args, sink)
	}
	if s := p.status("cbr0").State; s != Idle {
		t.Errorf("the source is %v before START", s)
	}
	p.event("cbr0", "START", "PACKETSIZE=500 RATE=80 IPTOS=16")
	until(t, "the source's process", func() bool { return len(noted()) == 2 })
	if _, args := last(); !strings.Contains(args, "-c 127.0.0.1 ") || !strings.HasSuffix(args, "-t 0 -l 500 -b 80000 -u -S 16") {
		t.Errorf("the source is iperf3 %s", args)
	}
	p.event("cbr0", "MODIFY", "RATE=160")
	until(t, "a process with the new rate", func() bool { return len(noted()) == 3 })
	pid, args := last()
	if !strings.Contains(args, "-b 160000 ") {
		t.Errorf("the source is iperf3 %s", args)
	}
	p.event("cbr0", "STOP", "")
	until(t, "its end", func() bool { _, err := os.Stat("/proc/" + pid); return err != nil })
	if s := p.status("cbr0").State; s != Waiting || len(noted()) != 3 {
		t.Errorf("after STOP %v, %d processes", s, len(noted()))
	}
	first, _, _ := strings.Cut(noted()[0], " ")
	kill(t, first)
	until(t, "another sink", func() bool { return len(noted()) == 4 })
	if _, args := last(); args != sink {
		t.Errorf("killed, the sink is iperf3 %s", args)
	}
	until(t, "what both have printed, in the log", func() bool {
		text, err := os.ReadFile(filepath.Join(p.logs, "null0."+iperfProgram))
		return err == nil && string(text) == "it prints\nit prints\n"
	})
}

func kill(tb testing.TB, pid string) {
	tb.Helper()
	var n int
	for _, c := range pid {
		n = n*10 + int(c-'0')
	}
	if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
		tb.Fatalf("kill %s: %v", pid, err)
	}
}

func TestKindOf(t *testing.T) {
	fakeIperf(t)
	for generator, want := range map[string]Kind{"": Own, "TG": Own, "NSE": Nobody, "iperf": Program, "other": Program} {
		if got := KindOf(protocol.TrafGen{Generator: generator}); got != want {
			t.Errorf("GENERATOR=%s: %v, want %v", generator, got, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got := KindOf(protocol.TrafGen{Generator: "iperf"}); got != Nobody {
		t.Errorf("without iperf3: %v, want %v", got, Nobody)
	}
}
