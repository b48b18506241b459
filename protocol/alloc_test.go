package protocol

import (
	"runtime"
	"strings"
	"testing"
)

func TestParseRequestAllocations(t *testing.T) {
	in := []byte("PROXYFOR=pcvm1-1 VERSION=40 accounts ")
	if n := testing.AllocsPerRun(100, func() { ParseRequest(in) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// Rendering into a buffer with room allocates nothing, or the codec and a copy
// of the record where code is shared among families; never per line.
func TestAppendAllocations(t *testing.T) {
	dst := make([]byte, 0, 1<<16)
	request, _ := ParseRequest([]byte("PROXYFOR=pcvm1-1 VERSION=40 bootlog text "))
	if n := testing.AllocsPerRun(100, func() { request.Append(dst) }); n > 0 {
		t.Errorf("request: %v allocations", n)
	}
	for _, command := range Commands() {
		for _, seed := range seedsOf(t, command.Name) {
			reply, err := ParseReply(command.Name, seed)
			if err != nil {
				continue
			}
			if n := testing.AllocsPerRun(10, func() { reply.Append(dst, Version) }); n > 2 {
				t.Errorf("%s: %v allocations for %q", command.Name, n, seed)
			}
		}
	}
}

// What a parser allocates is bounded by the size of what it reads.
func TestBoundedAllocation(t *testing.T) {
	const size = 1 << 18
	for name, line := range map[string]string{
		"empty lines":  "\n",
		"short words":  "A=\n",
		"records":      "DELAY INT0= INT1= PIPE0=0 DELAY0=0 BW0=0 PLR0=0 PIPE1=0 DELAY1=0 BW1=0 PLR1=0\n",
		"interfaces":   "INET= MASK=\n",
		"many words":   "LINKDELAY IFACE= " + strings.Repeat("A= ", 2000) + "\n",
		"open quotes":  "NAME=" + strings.Repeat("' A=", 2000) + "\n",
		"no line ends": strings.Repeat("A", 100),
	} {
		in := []byte(strings.Repeat(line, size/len(line)))
		for _, command := range Commands() {
			if parserOf(command.Name) == nil {
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ParseReply(command.Name, in)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 192*size {
				t.Errorf("%s of %s: %d bytes for %d", name, command.Name, n, size)
			}
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	in := []byte("PROXYFOR=pcvm1-1 VERSION=40 watchdoginfo ")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestAppend(b *testing.B) {
	r := Request{ProxyFor: "pcvm1-1", Version: Version, Command: "watchdoginfo", HasArgs: true}
	dst := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Append(dst[:0])
	}
}

func BenchmarkParseAccounts(b *testing.B) { benchmarkParse(b, "accounts", ParseAccounts) }

func BenchmarkParseIfConfig(b *testing.B) { benchmarkParse(b, "ifconfig", ParseIfConfig) }

func benchmarkParse[T Reply](b *testing.B, command string, parse func([]byte) (T, error)) {
	in := longest(seedsOf(b, command))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAccountsAppend(b *testing.B) {
	a, err := ParseAccounts(longest(seedsOf(b, "accounts")))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		dst = a.Append(dst[:0], Version)
	}
}

func BenchmarkSplitFullConfig(b *testing.B) {
	in := longest(seedsOf(b, "fullconfig"))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SplitFullConfig(in); err != nil {
			b.Fatal(err)
		}
	}
}

func longest(all [][]byte) []byte {
	var most []byte
	for _, one := range all {
		if len(one) > len(most) {
			most = one
		}
	}
	return most
}
