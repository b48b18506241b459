package testbed

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
)

func mustParse(t *testing.T, text string) *DB {
	t.Helper()
	db, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestBuiltin(t *testing.T) {
	tb, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	tb.Read(func(db *DB) {
		if got := db.First("nodes", "jailip", "172.16.1.2").Text("node_id"); got != "pcvm1-2" {
			t.Errorf("node with jailip 172.16.1.2 is %q", got)
		}
	})
}

// TestRows: rows: changes the row of the same key or adds one; tables: says all.
func TestRows(t *testing.T) {
	db := mustParse(t, base+`rows:
  nodes:
    - {node_id: v1, sshdport: 12345, ready: 1}
  tiplines:
    - {node_id: v1, portnum: 4501, keydata: "00"}
tables:
  node_hostkeys:
    - {node_id: v1, sshrsa_v2: key}
`)
	v1 := db.First("nodes", "node_id", "V1") // strings compare without case
	if v1.Int("sshdport") != 12345 || !v1.Bool("ready") || v1.Text("jailip") != "172.16.0.1" {
		t.Errorf("v1: sshdport %d, ready %v, jailip %s", v1.Int("sshdport"), v1.Bool("ready"), v1.Text("jailip"))
	}
	if got := db.First("tiplines", "portnum", "4501").Text("keydata"); got != "00" {
		t.Errorf("keydata %q", got)
	}
	if n := db.Len("node_hostkeys"); n != 1 {
		t.Errorf("%d rows in node_hostkeys, want 1", n)
	}
	if db.First("nodes", "node_id", "nobody").Text("role") != "" || db.First("nodes", "node_id", "nobody").Value("sshdport") != nil {
		t.Error("a row that isn't there has values")
	}
}

// TestDefaults: a column that a row lacks has its table's default.
func TestDefaults(t *testing.T) {
	db := mustParse(t, base+"defaults:\n  nodes: {sshdport: 22, routertype: null}\n")
	v1 := db.First("nodes", "node_id", "v1")
	if v1.Int("sshdport") != 22 || v1.Value("routertype") != nil || v1.Int("priority") != -1 {
		t.Errorf("sshdport %d, routertype %q, priority %d", v1.Int("sshdport"), v1.Text("routertype"), v1.Int("priority"))
	}
}

func TestSiteVar(t *testing.T) {
	db := mustParse(t, "sitevariables:\n  watchdog/interval: 7\n  own/one: {value: '', default: d}\n")
	for name, want := range map[string]string{"watchdog/interval": "7", "watchdog/rusage": "300", "own/one": "d", "no/such": ""} {
		if got := db.SiteVar(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestSections: faults and timeline are handed on as they stand, with their line.
func TestSections(t *testing.T) {
	db := mustParse(t, base+"faults:\n  - delay 1s\n\n# more\n  - cut 5\ntimeline:\n- +10s UPDATE=1\n")
	if want := "faults:\n  - delay 1s\n\n# more\n  - cut 5\n"; db.Faults.Text != want || db.Faults.Line != 17 {
		t.Errorf("faults, line %d: %q", db.Faults.Line, db.Faults.Text)
	}
	if want := "timeline:\n- +10s UPDATE=1\n"; db.Timeline.Text != want || db.Timeline.Line != 22 {
		t.Errorf("timeline, line %d: %q", db.Timeline.Line, db.Timeline.Text)
	}
}

func TestSiteSet(t *testing.T) {
	s := defaultSite()
	for _, tc := range []struct {
		key, value string
		ok         bool
	}{{"domain", "x.test", true}, {"no_shared_fs", "1", true}, {"web", "h:80", true}, {"boss_ip", "10.0.0.1", true},
		{"boss_ip", "boss", false}, {"no_shared_fs", "perhaps", false}, {"nothing", "1", false}, {"fs_dirs", "x", false}} {
		if s.Set(tc.key, tc.value) != tc.ok {
			t.Errorf("Set(%s, %s) is not %v", tc.key, tc.value, tc.ok)
		}
	}
	if s.Domain != "x.test" || !s.NoSharedFS || s.WebServer() != "h:80" {
		t.Errorf("site: %+v", s)
	}
}

func TestApply(t *testing.T) {
	tb := New(mustParse(t, base))
	node := map[string]string{"node_id": "v1"}
	value := func(table, col string) (s string) {
		tb.Read(func(db *DB) { s = db.First(table, "node_id", "v1").Text(col) })
		return s
	}
	for _, tc := range []struct {
		name   string
		change Change
		table  string
		col    string
		want   string
	}{
		{"update", Change{"nodes", Update, node, Columns{"update_accounts": int64(2)}}, "nodes", "update_accounts", "2"},
		{"decline", Change{"nodes", Decline, node, Columns{"update_accounts": int64(1)}}, "nodes", "update_accounts", "1"},
		{"decline to 0", Change{"nodes", Decline, node, Columns{"update_accounts": int64(1)}}, "nodes", "update_accounts", "0"},
		{"not below 0", Change{"nodes", Decline, node, Columns{"update_accounts": int64(1)}}, "nodes", "update_accounts", "0"},
		{"update of nothing", Change{"node_status", Update, node, Columns{"status": "up"}}, "node_status", "status", ""},
		{"insert", Change{"node_status", Upsert, node, Columns{"status": "up"}}, "node_status", "status", "up"},
		{"upsert again", Change{"node_status", Upsert, node, Columns{"status": "down"}}, "node_status", "status", "down"},
		{"delete", Change{"node_status", Delete, node, nil}, "node_status", "status", ""},
		{"an indexed column", Change{"nodes", Update, node, Columns{"jailip": "172.16.0.9"}}, "nodes", "jailip", "172.16.0.9"},
	} {
		tb.Apply([]Change{tc.change})
		if got := value(tc.table, tc.col); got != tc.want {
			t.Errorf("%s: %s is %q, want %q", tc.name, tc.col, got, tc.want)
		}
	}
	tb.Read(func(db *DB) {
		if got := db.First("nodes", "jailip", "172.16.0.9").Text("node_id"); got != "v1" {
			t.Errorf("by its new address: %q", got)
		}
	})
}

// TestTogether: readers, writers and a reload at once; the race detector looks.
func TestTogether(t *testing.T) {
	tb := New(mustParse(t, base))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				tb.Read(func(db *DB) { _ = db.First("nodes", "node_id", "v1").Text("ready") })
				tb.Apply([]Change{{"node_status", Upsert, map[string]string{"node_id": "v1"}, Columns{"status": "up"}}})
			}
		})
	}
	all.Go(func() { tb.Replace(tb.Snapshot()) })
	all.Wait()
}

// TestRecordedYAML: testdata/recorded.yaml is what import makes of the recorded
// rows, and a file of a person: no reply is in it.
func TestRecordedYAML(t *testing.T) {
	tb, err := Load(recordedJSON)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Import(tb.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../testdata/recorded.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("testdata/recorded.yaml is old: tmcd-mock import testdata/vectors/testbed.json > testdata/recorded.yaml")
	}
	for _, reply := range []string{"ADDUSER", "ALLOCATED=", "IFACETYPE", "*** ", "JAILIP=", "UPDATE="} {
		if strings.Contains(string(got), reply) {
			t.Errorf("it holds %q, a piece of a reply", reply)
		}
	}
}

// TestImportOfAnything: rows that have no human form come back all the same.
func TestImportOfAnything(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             `{}`,
		"a node of no type":   `{"nodes": [{"node_id": "x", "type": "t", "phys_nodeid": "x"}]}`,
		"a vnode of no host":  `{"node_types": [{"type": "t", "class": "c"}], "nodes": [{"node_id": "x", "type": "t", "phys_nodeid": "y"}]}`,
		"two rows of one key": `{"users": [{"uid": "a", "unix_uid": 5}, {"uid": "a", "unix_uid": 6}]}`,
		"odd names":           `{"users": [{"uid": "no such: login", "unix_uid": 5}], "projects": [{"pid": "a/b"}]}`,
		"a number as text":    `{"users": [{"uid": "a", "unix_uid": "5"}], "x": [{"a": 1.5, "b": "1.5", "c": null, "d": "null", "e": "yes", "f": " x ", "g": "a\nb", "h": "ü\u0007"}]}`,
		"other defaults":      `{"defaults": {"nodes": {"sshdport": 5}}, "nodes": [{"node_id": "x"}]}`,
		"an unknown setting":  `{"site": {"domain": "d", "more": "m"}}`,
		"a file":              `{"files": {"a/b.gz": "AAEC/w=="}}`,
		"dangling rows":       `{"experiments": [{"pid": "p", "eid": "e", "idx": 3}], "virt_lans": [{"exptidx": 3, "vname": "l", "vnode": "n", "ip": "bad"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			db, err := DecodeJSON("t.json", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			yaml, err := Import(db)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("t.yaml", yaml)
			if err != nil {
				t.Fatalf("%v\n%s", err, yaml)
			}
			if diff := Difference(again, db); diff != "" {
				t.Errorf("%s\n%s", diff, yaml)
			}
			var out bytes.Buffer
			if err := again.Export(&out); err != nil {
				t.Fatal(err)
			}
			back, err := DecodeJSON("export.json", out.Bytes())
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if diff := Difference(back, db); diff != "" {
				t.Errorf("after export: %s\n%s", diff, out.String())
			}
		})
	}
}

// TestBadJSON: rows that can't be read name the line.
func TestBadJSON(t *testing.T) {
	for name, text := range map[string]string{
		"no table":    "{\n \"nodes\": 5}",
		"a list cell": "{\n \"nodes\": [{\"a\": []}]}",
		"cut off":     "{\n \"nodes\": [{",
		"bad base64":  "{\n \"files\": {\"a\": \"*\"}}",
	} {
		if _, err := DecodeJSON("t.json", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "t.json:2: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLookups: rows come in the order of the key where it is walked for them,
// when they were there from the start and when one is added or changed.
func TestLookups(t *testing.T) {
	tb := New(mustParse(t, base+`rows:
  traces:
    - {node_id: h1, idx: 10, linkvname: a}
    - {node_id: h1, idx: 9, linkvname: b}
    - {node_id: h1, linkvname: c}
`+strings.Repeat("    - {node_id: h2, idx: 1}\n", 8)+`
  virt_node_attributes:
    - {exptidx: 7, vname: a, attrkey: z}
    - {exptidx: 7, vname: B, attrkey: d}
    - {exptidx: 7, vname: b, attrkey: c}
    - {exptidx: 7, vname: b, attrkey: e}
    - {exptidx: 7, vname: b, attrkey: a}
    - {exptidx: 7, vname: b, attrkey: b}
    - {exptidx: 7, vname: a, attrkey: Y}
  vlans:
    - {id: 2, pid: p, tag: 1}
    - {id: 1, pid: p, tag: 2}
`))
	listed := func(table, column, value string, columns ...string) (s string) {
		tb.Read(func(db *DB) {
			for r := range db.Where(table, column, value) {
				for _, col := range columns {
					s += r.Text(col) + " "
				}
			}
		})
		return strings.TrimSpace(s)
	}
	for _, tc := range []struct{ got, want string }{
		{listed("traces", "node_id", "h1", "linkvname"), "c b a"},
		// Two rows of seven are found by the key, of five there all are read.
		{listed("virt_node_attributes", "exptidx", "7", "vname", "attrkey"), "a Y a z B d b c b e b a b b"},
		{listed("vlans", "pid", "p", "tag"), "1 2"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
	add := func(op Op, idx int64, where ...string) Change {
		return Change{Table: "traces", Op: op, Where: map[string]string{"node_id": "h1", "linkvname": where[0]}, Set: Columns{"idx": idx}}
	}
	tb.Apply([]Change{add(Upsert, 5, "d"), add(Update, 20, "c"), add(Upsert, 9, "e")})
	if got := listed("traces", "node_id", "h1", "linkvname"); got != "d b e a c" {
		t.Errorf("after changes %q", got)
	}
	tb.Apply([]Change{{Table: "traces", Op: Delete, Where: map[string]string{"node_id": "h1"}}})
	if got := listed("traces", "node_id", "h1", "linkvname"); got != "" {
		t.Errorf("after all are gone %q", got)
	}
}
