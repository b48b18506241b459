package picture

import (
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hostile is a name that would like to be markup, in each language.
const hostile = `a"b\c]; evil -- x <script>&lt;</script>` + "\x1b\n\\N"

func some() []Experiment {
	return []Experiment{{
		Name: "jails/demo",
		Nodes: []Node{
			{VNode: "pcvm1-1", Name: "node-a", Address: "172.16.1.1", State: "up"},
			{VNode: "pcvm1-2", Name: "node-b", State: "down"},
			{VNode: "pcvm1-3", Name: hostile, State: "building"},
		},
		Links: []Link{
			{VNode: "pcvm1-2", LAN: "link0", Interface: "eth1", Addresses: []string{"10.1.2.3/24"}},
			{VNode: "pcvm1-1", LAN: "lan0", Interface: "eth1", Addresses: []string{"10.1.1.2/24"}, Out: "rate=10Mb delay=20ms"},
			{VNode: "pcvm1-2", LAN: "lan0", Interface: "eth2", Addresses: []string{"10.1.1.3/24"}, In: "loss=0.01"},
			{VNode: "pcvm1-3", LAN: "lan0", Interface: hostile},
			{VNode: "pcvm1-1", LAN: "link0", Interface: "eth2", Addresses: []string{"10.1.2.2/24"}},
		},
	}}
}

// TestSource: a LAN of three is a node, a LAN of two is a line.
func TestSource(t *testing.T) {
	got := string(Source(some()))
	for _, want := range []string{
		`label="jails/demo"`,
		`"node pcvm1-1" [shape=box style=filled fillcolor=palegreen label="node-a\npcvm1-1\n172.16.1.1\nup"]`,
		`"lan jails/demo lan0" [shape=ellipse label="lan0"]`,
		`"node pcvm1-1" -- "lan jails/demo lan0" [label="eth1\n10.1.1.2/24\nout rate=10Mb delay=20ms"]`,
		`"node pcvm1-1" -- "node pcvm1-2" [label="link0" taillabel="eth2\n10.1.2.2/24" headlabel="eth1\n10.1.2.3/24"]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s:\n%s", want, got)
		}
	}
	if string(Source(nil)) == "" || strings.ContainsRune(got, 0x1b) {
		t.Errorf("%q", got)
	}
}

// texts are what a reader of the picture sees.
func texts(t *testing.T, svg string) (texts, elements []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	d.Strict = true
	for {
		token, err := d.Token()
		if err == io.EOF {
			return texts, elements
		}
		if err != nil {
			t.Fatalf("not well formed: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements = append(elements, token.Name.Local)
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
}

// TestDraw: whatever the names say, the picture shows them and nothing else.
func TestDraw(t *testing.T) {
	program := filepath.Join(t.TempDir(), "jailpicture")
	build := exec.Command("go", "build", "-o", program, "./jailpicture")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	svg, err := Draw(t.Context(), program, Source(some()))
	if err != nil {
		t.Fatal(err)
	}
	shown, elements := texts(t, string(svg))
	const plain = `a"b\c]; evil -- x <script>&lt;</script>\x1b\x0a\N`
	for _, want := range []string{"node-a", "172.16.1.1", "10.1.1.3/24", "in loss=0.01", "lan0", "link0", plain} {
		if !slices.Contains(shown, want) {
			t.Errorf("doesn't show %q: %q", want, shown)
		}
	}
	if slices.Contains(elements, "script") {
		t.Errorf("elements: %v", elements)
	}
	if _, err := Draw(t.Context(), program, []byte("graph {")); err == nil || !strings.Contains(err.Error(), "read the source") {
		t.Errorf("no source: %v", err)
	}
}
